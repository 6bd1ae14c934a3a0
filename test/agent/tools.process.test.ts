import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { edit } from '../../src/agent/tools/edit.ts';
import { list } from '../../src/agent/tools/list.ts';
import { read } from '../../src/agent/tools/read.ts';
import { run } from '../../src/agent/tools/run.ts';
import { search } from '../../src/agent/tools/search.ts';
import { RESULT_LIMIT, type ToolContext } from '../../src/agent/tools/tool.ts';
import { write } from '../../src/agent/tools/write.ts';
import { localSandbox } from './local-sandbox.ts';

async function tree(t: TestContext, files: Record<string, string | Buffer> = {}) {
  const sandbox = await localSandbox();
  t.after(() => sandbox.close());
  const at = (path: string) => join(sandbox.directory, path);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(at(path), '..'), { recursive: true });
    await writeFile(at(path), content);
  }
  const context: ToolContext = {
    sandbox,
    limits: { commandMs: 60_000, commandOutputBytes: 256 * 1024 },
    signal: AbortSignal.timeout(60_000),
  };
  return { at, context, sandbox };
}

/** Names that break tools which trust a shell, a line or an option parser. */
const HOSTILE = [
  '-rf',
  '--help',
  'a b',
  "it's",
  '$(touch pwned)',
  '`id`',
  'new\nline',
  '"quoted"',
  '🦊/ünïcode',
  'مرحبا.txt',
  '*',
  'a\\b',
  ';exit 1',
];

test('write, read and edit keep any name and any text', async (t) => {
  const { at, context } = await tree(t);
  const text = 'line "1"\n\\n $HOME `x` \u202E🦊\r\n\tno newline at the end';
  for (const path of HOSTILE) {
    assert.deepEqual(
      await write.run({ path, content: text }, context),
      { ok: true, text: `${Buffer.byteLength(text)} bytes written` },
      path,
    );
    assert.equal(await readFile(at(path), 'utf8'), text);
    assert.deepEqual(await read.run({ path }, context), { ok: true, text });
    assert.deepEqual(await edit.run({ path, old: '$HOME `x` \u202E🦊\r', new: "' || \\1 é" }, context), {
      ok: true,
      text: 'replaced',
    });
    assert.equal(
      await readFile(at(path), 'utf8'),
      text.replace('$HOME `x` \u202E🦊\r', () => "' || \\1 é"),
    );
  }
  await assert.rejects(stat(at('pwned')));
  const listed = (await list.run({}, context)).text.split('\n');
  for (const name of ['-rf', "it's", '"new\\nline"', '🦊/', 'مرحبا.txt', '"a\\\\b"']) assert.ok(listed.includes(name), name);
});

test('paths outside of the tree, and absolute ones inside', async (t) => {
  const { at, context } = await tree(t, { 'a.txt': 'x' });
  for (const path of ['../a', '/etc/passwd', 'b/../../a', '/work/repository/a', 'a\0b', '']) {
    for (const tool of [read, write, edit]) {
      const result = await tool.run({ path, content: 'x', old: 'a', new: 'b' }, context);
      assert.equal(result.ok, false, path);
      assert.match(result.text, /^Error: .*path/);
    }
  }
  assert.equal((await read.run({ path: '/work/repo/a.txt' }, context)).text, 'x');
  assert.equal((await write.run({ path: 'b/../c.txt', content: 'y' }, context)).ok, true);
  assert.equal(await readFile(at('c.txt'), 'utf8'), 'y');
});

test('read gives lines in pieces, and says what is no text file', async (t) => {
  const lines = Array.from({ length: 2500 }, (_, i) => `line ${i + 1}`);
  const { context } = await tree(t, {
    long: `${lines.join('\n')}\n`,
    exact: `${lines.slice(0, 1000).join('\n')}\n`,
    empty: '',
    binary: Buffer.from([0, 1, 2]),
    wide: 'x'.repeat(5_000_000),
    'd/x': '',
  });
  const text = async (input: object) => (await read.run(input, context)).text;
  assert.match(await text({ path: 'long' }), /^line 1\n[\s\S]*\nline 1000\n\[more lines follow; go on with offset 1001\]$/);
  assert.equal(await text({ path: 'long', offset: 2, limit: 2 }), 'line 2\nline 3\n[more lines follow; go on with offset 4]');
  assert.equal(await text({ path: 'long', offset: 2499 }), 'line 2499\nline 2500\n');
  assert.equal(await text({ path: 'long', offset: 9000 }), '[nothing there: the file ends before this line]');
  assert.match(await text({ path: 'exact' }), /line 1000\n$/);
  assert.equal(await text({ path: 'empty' }), '[empty file]');
  assert.match(await text({ path: 'binary' }), /binary/);
  assert.ok((await text({ path: 'wide' })).length <= RESULT_LIMIT + 100);
  assert.match(await text({ path: 'd' }), /Error: is a directory/);
  assert.match(await text({ path: 'none' }), /Error: no such file/);
  assert.match(await text({ path: 'long', offset: 0 }), /Error: offset/);
});

test('edit wants the text exactly and once, keeps the mode, and leaves a failed file alone', async (t) => {
  const { at, context } = await tree(t, {
    f: 'one two one',
    bytes: Buffer.from([0xff, 0x61, 0xfe]),
    'json.py': 'raise SystemExit("imported")',
  });
  await chmod(at('f'), 0o755);
  assert.match((await edit.run({ path: 'f', old: 'three', new: 'x' }, context)).text, /Error: the old text is not in the file/);
  assert.match((await edit.run({ path: 'f', old: 'one', new: 'x' }, context)).text, /2 times/);
  assert.match((await edit.run({ path: 'f', old: 'one', new: 'one' }, context)).text, /the same/);
  assert.match((await edit.run({ path: 'none', old: 'a', new: 'b' }, context)).text, /no such file/);
  assert.equal(await readFile(at('f'), 'utf8'), 'one two one');
  assert.deepEqual(await edit.run({ path: 'f', old: 'one', new: '1', all: true }, context), {
    ok: true,
    text: 'replaced 2 times',
  });
  assert.equal(await readFile(at('f'), 'utf8'), '1 two 1');
  assert.equal((await stat(at('f'))).mode & 0o777, 0o755);
  assert.equal((await edit.run({ path: 'bytes', old: 'a', new: 'bcd' }, context)).ok, true);
  assert.deepEqual(await readFile(at('bytes')), Buffer.from([0xff, 0x62, 0x63, 0x64, 0xfe]));
});

test('write replaces, makes folders, and cannot write a folder', async (t) => {
  const { at, context } = await tree(t, { 'd/x': 'old and longer' });
  assert.equal((await write.run({ path: 'd/x', content: 'new' }, context)).ok, true);
  assert.equal(await readFile(at('d/x'), 'utf8'), 'new');
  assert.match((await write.run({ path: 'd', content: 'x' }, context)).text, /Error: is a directory/);
  assert.equal((await write.run({ path: 'd/x/y', content: 'x' }, context)).ok, false);
  const big = 'ü'.repeat(900_000);
  assert.equal((await write.run({ path: 'big/er/file', content: big }, context)).ok, true);
  assert.equal(await readFile(at('big/er/file'), 'utf8'), big);
});

test('list goes so deep and leaves out what nobody reads', async (t) => {
  const { at, context } = await tree(t, { 'a/b/c/d': '', '.git/config': '', 'node_modules/x/y': '', '.env': '' });
  await symlink('a', at('link'));
  assert.deepEqual((await list.run({}, context)).text.split('\n'), ['.env', 'a/', 'a/b/', 'link (link)']);
  assert.deepEqual((await list.run({ path: 'a', depth: 8 }, context)).text.split('\n'), ['b/', 'b/c/', 'b/c/d']);
  assert.match((await list.run({ path: 'none' }, context)).text, /Error: no such folder/);
  const many = await tree(t, Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`f${i}`, ''])));
  assert.match((await list.run({}, many.context)).text, /100 more/);
});

test('run answers with output and exit code, is capped, and kills what hangs', async (t) => {
  const { context } = await tree(t);
  assert.deepEqual(await run.run({ command: 'echo hi; echo err >&2; exit 3' }, context), {
    ok: false,
    text: 'hi\nerr\n\n[exit code 3]',
  });
  assert.deepEqual(await run.run({ command: 'true' }, context), { ok: true, text: '[exit code 0]' });
  const flood = await run.run({ command: 'head -c 5000000 /dev/zero | tr "\\0" x' }, context);
  assert.ok(flood.ok && flood.text.length < RESULT_LIMIT + 200, String(flood.text.length));
  const hung = await run.run({ command: 'echo before; sleep 100', timeout_seconds: 1 }, context);
  assert.equal(hung.ok, false);
  assert.match(hung.text, /before\n\n\[killed after 1 s\]/);
  assert.equal((await run.run({ command: 'cat' }, context)).ok, true, 'there is no input to wait for');
  const capped = { ...context, limits: { ...context.limits, commandMs: 300 } };
  assert.match((await run.run({ command: 'sleep 100' }, capped)).text, /killed after 0 s/);
});

test("search reads ripgrep's exit codes", async (t) => {
  const { context, sandbox } = await tree(t);
  const seen: string[][] = [];
  const answer = (exitCode: number, stdout: string, stderr = '') => {
    sandbox.exec = async (options) => {
      seen.push([...options.command]);
      return {
        end: 'exited',
        exitCode,
        stdout: Buffer.from(stdout),
        stderr: Buffer.from(stderr),
        output: stdout + stderr,
        truncated: false,
        outputDigest: '',
        command: 1,
        ms: 1,
      };
    };
  };
  answer(0, './a:1:x\n');
  assert.deepEqual(await search.run({ pattern: '-e', path: '-p', glob: '*.ts', fixed: true }, context), {
    ok: true,
    text: './a:1:x\n',
  });
  assert.deepEqual(seen[0]?.slice(-5), ['--glob=*.ts', '--fixed-strings', '--regexp=-e', '--', './-p']);
  answer(1, '');
  assert.deepEqual(await search.run({ pattern: 'x' }, context), { ok: true, text: '[nothing found]' });
  answer(2, '', 'regex parse error');
  assert.deepEqual(await search.run({ pattern: '(' }, context), { ok: false, text: 'Error: regex parse error' });
  answer(2, './a:1:x\n', 'one file was unreadable');
  assert.equal((await search.run({ pattern: 'x' }, context)).ok, true);
});

test('input that does not fit is a result, for every tool', async (t) => {
  const { context, sandbox } = await tree(t);
  for (const tool of [read, write, edit, list, search, run]) {
    for (const input of [null, 5, 'text', [], { unknown: 1 }, { path: 5 }, { command: '' }]) {
      const result = await tool.run(input, context);
      assert.equal(result.ok, false);
      assert.match(result.text, /^Error: /);
    }
  }
  assert.deepEqual(sandbox.commands, []);
});
