import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { before, test } from 'node:test';
import { AgentEnded } from '../../src/agent/ended.ts';
import { edit } from '../../src/agent/tools/edit.ts';
import { list } from '../../src/agent/tools/list.ts';
import { read } from '../../src/agent/tools/read.ts';
import { run } from '../../src/agent/tools/run.ts';
import { search } from '../../src/agent/tools/search.ts';
import { RESULT_LIMIT, type ToolContext } from '../../src/agent/tools/tool.ts';
import { write } from '../../src/agent/tools/write.ts';
import { cleanRoom } from '../../src/agent/verify/clean-room.ts';
import { combine } from '../../src/agent/verify/judge.ts';
import { runCommands } from '../../src/agent/verify/run-commands.ts';
import { DEFAULT_YARDSTICK } from '../../src/policy/yardstick.ts';
import { type Sandbox, WORK_TREE } from '../../src/sandbox/sandbox.ts';
import { declare } from '../agent/repository.ts';
import { never, realDriver, sh, spec } from './real-sandbox.ts';

const driver = realDriver();
const limits = { commandMs: 30_000, commandOutputBytes: 256 * 1024 };
let sandbox: Sandbox;
let context: ToolContext;

before(async () => {
  sandbox = await driver.create(spec(), never);
  context = { sandbox, limits, signal: never };
  await ok(sandbox, `mkdir -p ${WORK_TREE}`);
});

async function ok(inside: Sandbox, script: string): Promise<string> {
  const result = await sh(inside, script);
  assert.equal(result.exitCode, 0, result.output);
  return result.stdout.toString('utf8').trim();
}
const bytesOf = async (path: string): Promise<Buffer> =>
  (await sandbox.exec({ command: ['cat', '--', path], cwd: WORK_TREE, timeoutMs: 20_000, outputLimit: 8_000_000, signal: never }))
    .stdout;

test('write, read and edit keep hostile names and any text', async () => {
  const text = 'line "1"\n\\n $HOME `x` \u202E🦊\r\n\tno newline at the end';
  for (const path of ['-rf', "it's $(id)", 'new\nline', '🦊/ünïcode', 'مرحبا.txt']) {
    assert.equal((await write.run({ path, content: text }, context)).ok, true, path);
    assert.deepEqual(await read.run({ path }, context), { ok: true, text });
    assert.deepEqual(await edit.run({ path, old: '`x` \u202E🦊\r', new: 'é' }, context), { ok: true, text: 'replaced' });
    assert.equal((await bytesOf(`./${path}`)).toString('utf8'), text.replace('`x` \u202E🦊\r', 'é'));
  }
  assert.match((await edit.run({ path: '-rf', old: 'absent', new: 'x' }, context)).text, /not in the file/);
  assert.match((await read.run({ path: '../../etc/passwd' }, context)).text, /Error: path/);
  const listed = (await list.run({}, context)).text.split('\n');
  for (const name of ['-rf', '"new\\nline"', '🦊/', 'مرحبا.txt']) assert.ok(listed.includes(name), name);
});

test('a megabyte goes in and comes out whole', async () => {
  const content = 'ü🦊'.repeat(170_000);
  assert.equal((await write.run({ path: 'big', content }, context)).ok, true);
  const digest = (data: string | Buffer) => createHash('sha256').update(data).digest('hex');
  assert.equal(digest(await bytesOf('./big')), digest(content));
  assert.ok((await read.run({ path: 'big' }, context)).text.length < RESULT_LIMIT + 200);
});

test('search finds with ripgrep, hidden files too, and never in .git', async () => {
  await ok(
    sandbox,
    `cd ${WORK_TREE} && mkdir -p src .git && echo needle > src/a.ts && echo needle > .hidden && echo needle > .git/x && echo needle > 'src/b c.md'`,
  );
  assert.equal(
    (await search.run({ pattern: 'need.e' }, context)).text,
    './.hidden:1:needle\n./src/a.ts:1:needle\n./src/b c.md:1:needle\n',
  );
  assert.equal((await search.run({ pattern: 'needle', path: 'src', glob: '*.ts' }, context)).text, './src/a.ts:1:needle\n');
  assert.equal((await search.run({ pattern: 'need.e', fixed: true }, context)).text, '[nothing found]');
  assert.match((await search.run({ pattern: '(' }, context)).text, /^Error: /);
  await ok(sandbox, `rm -rf ${WORK_TREE}/.git`);
});

test('run: exit codes, floods, hangs, and an abort that leaves nothing running', async () => {
  assert.deepEqual(await run.run({ command: 'echo hi; exit 3' }, context), { ok: false, text: 'hi\n\n[exit code 3]' });
  const flood = await run.run({ command: 'head -c 5000000 /dev/zero | tr "\\0" x' }, context);
  assert.ok(flood.ok && flood.text.length < RESULT_LIMIT + 200);
  assert.match(
    (await run.run({ command: 'echo on; sleep 1000', timeout_seconds: 1 }, context)).text,
    /on\n\n\[killed after 1 s\]/,
  );
  const controller = new AbortController();
  const reason = new Error('stopped');
  const exec = sandbox.exec.bind(sandbox);
  const watched: Sandbox = {
    ...sandbox,
    id: sandbox.id,
    died: sandbox.died,
    exec: (options) => exec({ ...options, onOutput: () => controller.abort(reason) }),
  };
  const running = run.run({ command: 'echo on; sleep 1000' }, { sandbox: watched, limits, signal: controller.signal });
  await assert.rejects(running, reason);
  assert.equal(await ok(sandbox, 'pgrep -c sleep || true'), '0');
});

test('a change that rewrites its own test passes only by its own yardstick, on gVisor', async () => {
  const commands = [declare('test', 'npm test --silent')];
  const room = async (measure: 'baseline' | 'own' | 'base') => {
    const fresh = await driver.create(spec(), never);
    try {
      const [base = '', head = ''] = (await ok(fresh, REPOSITORY)).split('\n').slice(-2);
      const inside = { sandbox: fresh, limits, emit: () => {}, signal: never };
      if (measure === 'baseline') return { results: await runCommands(inside, commands, 'baseline'), edits: [] };
      const done = await cleanRoom(inside, {
        base,
        commands,
        measure,
        yardstick: DEFAULT_YARDSTICK,
        openForSetup: async () => {},
        shut: async () => {},
        applyChange: () => ok(fresh, `cd ${WORK_TREE} && git reset -q --hard ${head} && git write-tree`),
      });
      assert.equal(done.touchesYardstick, true);
      return { results: done.results, edits: done.yardstickEdits };
    } finally {
      await fresh.close();
    }
  };
  const [baseline, own, base] = [await room('baseline'), await room('own'), await room('base')];
  assert.deepEqual(base.edits, ['package.json', 'pyproject.toml', 'test/a.test.js']);
  const verdict = combine({ baseline: baseline.results, cleanRoom: own.results, yardstick: base.results });
  assert.deepEqual(verdict, { kind: 'own_yardstick_only', commands: ['npm test --silent'] });
});

const REPOSITORY = `
set -e
mkdir -p ${WORK_TREE}/test; cd ${WORK_TREE}
git init -q -b main .
commit() { git add -A; git -c user.name=t -c user.email=t@t.test commit -q -m "$1"; git rev-parse HEAD; }
echo 'module.exports = 4' > five.js
echo '{"scripts": {"test": "node --test"}}' > package.json
printf '[tool.pytest.ini_options]\\naddopts = "-q"\\n' > pyproject.toml
echo "require('node:assert').equal(require('../five.js'), 5)" > test/a.test.js
commit base
echo '{"scripts": {"test": "exit 0"}, "dependencies": {}}' > package.json
printf '[tool.pytest.ini_options]\\naddopts = "--co"\\n' > pyproject.toml
echo '' > test/a.test.js
commit change
git reset -q --hard HEAD~1
`;

test('a sandbox that is gone ends the agent’s part with a reason', async () => {
  const fresh = await driver.create(spec(), never);
  await fresh.close();
  await assert.rejects(
    list.run({}, { sandbox: fresh, limits, signal: never }),
    (thrown) => thrown instanceof AgentEnded && thrown.reason === 'sandbox_died',
  );
});
