import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkText, commitMessage, findingList, pullRequestText, statusComment } from '../../src/control/comments.ts';
import { CHECK_TEXT_CHARS, COMMENT_CHARS, TITLE_CHARS } from '../../src/github/clip.ts';
import { entryOf, recorded, result, TASK, task, verification } from './task.fixture.ts';

const PAGE = 'https://coat.test/tasks/x/y';
const HOSTILE =
  '@everyone fixes #99 ![](https://beacon.test/p.png) <img src=x onerror=alert(1)><!-- coatcheck:task=zzz --> [x](javascript:alert(1)) <script>alert(1)</script>';

/** Nobody is mentioned and nothing is closed: what counts in titles and commit messages too, which are no Markdown. */
function assertNoReference(text: string): void {
  assert.doesNotMatch(text, /(?:^|[^`\w])@everyone\b/);
  assert.doesNotMatch(text, /(?:^|[^\w&])fixes #99\b/i);
}

/** What must not be in any Markdown of ours. */
function assertHarmless(text: string): void {
  assertNoReference(text);
  assert.equal(/<script|<img|<!-- coatcheck:task=zzz|!\[\]\(|[^\\]\]\(javascript:/i.exec(text)?.[0], undefined);
}

const NOTES = [{ rule: 'manifest', path: 'package.json', detail: 'Decides.' }];

describe('the pull request', () => {
  const text = (title: string, body: string, marked = false) =>
    pullRequestText(
      task(),
      { summary: { title, body }, verification: verification(), notes: NOTES },
      'Read. Mend.',
      PAGE,
      marked,
    );

  test('says what, how it was verified, whose wish it was, and carries its marker once', () => {
    const { title, body } = text('Mend the sum', 'The start was off by one.');
    assert.equal(title, 'Mend the sum');
    for (const part of [
      'The start was off by one.',
      'npm test',
      'Read. Mend.',
      'Fixes #12',
      'ada',
      PAGE,
      '### Worth a look',
      ': manifest (',
    ]) {
      assert.ok(body.includes(part), part);
    }
    assert.equal(body.split(`<!-- coatcheck:task=${TASK} -->`).length, 2);
  });

  test('an agent without words gets the issue’s title', () => {
    assert.equal(text('', '').title, 'Wrong sum');
  });

  test('hostile words of the agent do nothing', () => {
    const { title, body } = text(HOSTILE, HOSTILE);
    assertNoReference(title);
    assertHarmless(body);
    assert.ok(title.length <= TITLE_CHARS);
    assert.ok(!title.includes('\n'));
  });

  test('says in its title that it is a draft where there are no drafts', () => {
    assert.match(text('Mend the sum', '', true).title, /^\[draft\] Mend the sum$/);
  });

  test('stays within GitHub’s limits whatever the agent and the commands said', () => {
    const long = 'word '.repeat(60_000);
    const { body } = pullRequestText(
      task(),
      {
        summary: { title: long.slice(0, 300), body: long.slice(0, 20_000) },
        verification: verification({
          results: Array.from({ length: 400 }, (_, n) => result({ command: `x${n} ${long.slice(0, 400)}` })),
        }),
        notes: [],
      },
      long,
      PAGE,
      false,
    );
    assert.ok(body.length <= COMMENT_CHARS, String(body.length));
  });
});

describe('the status comment', () => {
  test('tells state, steps and how to stop while it runs', () => {
    const events = recorded(
      { type: 'step.started', step: 'sandbox' },
      { type: 'step.ended', step: 'sandbox', ok: true, ms: 900 },
      { type: 'step.started', step: 'plan' },
    );
    const text = statusComment(entryOf(task({ state: 'running', message: 'A host has taken the task.' })), events, PAGE, null);
    assert.match(text, /^\*\*Running\*\*: A host has taken the task\./);
    assert.match(text, /✓ Start the sandbox/);
    assert.match(text, /… Plan/);
    assert.match(text, /\/coatcheck stop/);
  });

  test('tells the end, the pull request and the record, and offers no stop then', () => {
    const ended = task({ state: 'ready', reason: 'verified', message: 'All passed.', endedAt: '2026-11-21T10:05:00.000Z' });
    const entry = entryOf(ended, { pullRequest: { number: 7, url: 'https://forge.test/7', draft: false } });
    const text = statusComment(entry, recorded(), PAGE, { digest: 'abc123', count: 42, keyId: 'f'.repeat(64) });
    assert.match(text, /^\*\*Done: verified pull request\*\*/);
    assert.match(text, /Pull request: #7/);
    assert.match(text, /42 events, SHA-256 `abc123`/);
    assert.doesNotMatch(text, /coatcheck stop/);
  });

  test('a hostile plan, or hostile output quoted in the message, does nothing', () => {
    const entry = entryOf(task({ state: 'running', message: `The command failed: ${HOSTILE}` }));
    const text = statusComment(entry, recorded({ type: 'plan', text: 'Read.' }), PAGE, null);
    assertHarmless(text);
    assert.match(text, /The command failed/);
    // The plan stands in a block of code, where nothing acts.
    const plan = statusComment(
      entryOf(task({ state: 'running' })),
      recorded({ type: 'plan', text: `\`\`\`\n${HOSTILE}` }),
      PAGE,
      null,
    );
    assert.match(plan, /````text\n```\n@everyone[^\n]*\n````/);
  });

  test('the list in a refusal stays a list', () => {
    const message = 'Refused.\n\n- ` .github/workflows/x.yml `: protected path';
    const text = statusComment(entryOf(task({ state: 'refused', message })), recorded(), PAGE, null);
    assert.match(text, /\n- ` \.github\/workflows\/x\.yml `: protected path\n/);
  });

  test('stays within GitHub’s limit', () => {
    const text = statusComment(
      entryOf(task({ state: 'failed', message: 'x'.repeat(90_000), endedAt: '2026-11-21T10:05:00.000Z' })),
      recorded({ type: 'plan', text: 'y'.repeat(90_000) }),
      PAGE,
      null,
    );
    assert.ok(text.length <= COMMENT_CHARS);
  });
});

describe('the check run', () => {
  test('shows verdict, verification, egress and steps', () => {
    const events = recorded(
      { type: 'verification', verification: verification() },
      {
        type: 'door.decision',
        ...{ purpose: 'work', n: 0, phase: 'setup', route: 'egress', method: 'GET', host: 'evil.test', port: 443, path: '/' },
        ...{ verdict: 'refused', rule: null, reason: 'no rule allows it', address: null, resolver: null, status: 403 },
        ...{ bytesUp: 0, bytesDown: 0, ms: 1 },
      },
    );
    const { title, summary } = checkText(entryOf(task({ state: 'draft', reason: 'verification_failed' })), events, null);
    assert.match(title, /^Done: draft pull request: /);
    assert.match(summary, /npm test/);
    assert.match(summary, /evil\.test/);
  });

  test('stays within GitHub’s limit', () => {
    const { title, summary } = checkText(
      entryOf(task({ state: 'failed', reason: 'internal', message: HOSTILE.repeat(900) })),
      recorded(...Array.from({ length: 9000 }, () => ({ type: 'step.started' as const, step: 'work' as const }))),
      null,
    );
    assert.ok(title.length <= TITLE_CHARS);
    assert.ok(summary.length <= CHECK_TEXT_CHARS);
    assertHarmless(summary);
  });
});

test('findings are a list of at most twenty files, as code, each file once', () => {
  const findings = Array.from({ length: 25 }, (_, n) => ({ rule: 'protected_path', path: `a\`${n}|<b>`, detail: '' }));
  const lines = findingList(findings).split('\n');
  assert.equal(lines.length, 21);
  assert.match(lines[0] ?? '', /protected path$/);
  assert.equal(lines[20], '- and 5 more files');
  const twice = findingList([
    { rule: 'protected_path', path: '.github/x', detail: 'Protected.' },
    { rule: 'secret', path: 'b', detail: '' },
    { rule: 'dot_directory', path: '.github/x', detail: 'In .github.' },
  ]);
  assert.equal(twice, '- ` .github/x `: protected path (` Protected. `), dot directory (` In .github. `)\n- ` b `: secret');
});

test('a commit names the issue and the human, and hostile words do nothing in it', () => {
  const message = commitMessage(task(), { title: `${HOSTILE}\n\nCo-authored-by: mallory <m@evil.test>`, body: HOSTILE });
  const [title = ''] = message.split('\n');
  assert.ok(title.length <= 72, title);
  assertNoReference(message);
  assertHarmless(message.slice(title.length));
  assert.match(message, /Issue: #12\nCo-authored-by: ada <3\+ada@users\.noreply\.github\.com>$/);
});
