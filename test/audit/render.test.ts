import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeBlock, codeCell, duration } from '../../src/audit/markdown.ts';
import { costLine, costOf, egressTable, planSection, verdictLine, verificationTable } from '../../src/audit/render.ts';
import type { CommandResult, Verification } from '../../src/task/verification.ts';

const result = (command: string, phase: CommandResult['phase'], exitCode: number | null): CommandResult => ({
  phase,
  kind: 'test',
  command,
  end: exitCode === null ? 'timed_out' : 'exited',
  exitCode,
  ms: 1234,
  outputDigest: 'x',
  outputTail: '',
  truncated: false,
});

const verification: Verification = {
  tree: 'b'.repeat(40),
  verdict: { kind: 'passed' },
  results: [result('npm test', 'baseline', 1), result('npm test', 'clean_room', 0), result('a | b', 'clean_room', null)],
  redOnBase: ['npm test'],
  yardstickEdits: ['test/sum.test.js'],
};

test('the verification table has a row per command and a column per phase', () => {
  assert.equal(
    verificationTable(verification),
    [
      '| command | base | clean room |',
      '|---|---|---|',
      '| ` npm test ` (failed on the base) | ✗ exit 1, 1.2 s | ✓ 1.2 s |',
      '| ` a \\| b ` | – | ✗ timed out, 1.2 s |',
      '',
      'The change edits tests or command definitions of the base:',
      '- ` test/sum.test.js `',
    ].join('\n'),
  );
});

test('text of others stays inside its code span and block', () => {
  assert.equal(codeCell('a `` b\n@octo/team fixes #1'), '``` a `` b @octo/team fixes #1 ```');
  assert.equal(codeCell('\u001b[31mred\u202e\u200b'), '` �[31mred�� `');
  assert.equal(codeBlock('```\n</details>@octo', 100), '````text\n```\n</details>@octo\n````');
  assert.match(codeBlock('x'.repeat(200), 100), /100 more characters/);
  assert.match(planSection('1. read'), /^<details><summary>The agent's plan<\/summary>\n\n```text\n1\. read\n```/);
});

test('refusals come first in the egress table, alike rows are one', () => {
  const row = (verdict: 'allowed' | 'refused', host: string) => ({
    type: 'door.decision' as const,
    purpose: 'work' as const,
    n: 1,
    phase: 'setup' as const,
    route: 'egress' as const,
    method: 'GET',
    host,
    port: 443,
    path: '/',
    verdict,
    rule: verdict === 'allowed' ? 'preset:npm' : null,
    reason: verdict === 'allowed' ? '' : 'no rule allows it',
    address: null,
    resolver: null,
    status: 200,
    bytesUp: 10,
    bytesDown: 2048,
    ms: 3,
  });
  const lines = egressTable([row('allowed', 'a.test'), row('allowed', 'a.test'), row('refused', 'b.test')]).split('\n');
  assert.equal(lines[2], '| refused | ` b.test:443 ` | ` no rule allows it ` | 1 | 10 B | 2.0 KiB |');
  assert.equal(lines[3], '| allowed | ` a.test:443 ` | ` preset:npm ` | 2 | 20 B | 4.0 KiB |');
});

test('cost sums up, and is not known when one price is not', () => {
  const call = (costUsd: number | null) => ({
    type: 'model.call' as const,
    dialect: 'openai-chat',
    asked: 'm',
    answered: 'm',
    status: 200,
    inputTokens: 100,
    outputTokens: 10,
    cachedTokens: 40,
    costUsd,
    ms: 5,
    note: '',
  });
  assert.equal(costLine(costOf([call(0.01), call(0.02)])), '2 model calls, 200 tokens in (80 of them cached), 20 out, $0.0300.');
  assert.match(costLine(costOf([call(0.01), call(null)])), /price not known/);
});

test('each verdict has its sentence, and times read well', () => {
  assert.match(verdictLine({ kind: 'failed', commands: ['npm test'] }), /fail on the change.*` npm test `/);
  assert.match(verdictLine({ kind: 'unjudged', why: 'sandbox died' }), /could not be judged/);
  assert.deepEqual([duration(12.4), duration(61_000)], ['12 ms', '1 min 1 s']);
});
