import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { pages, taskPath } from '../../src/control/pages.ts';
import { recordFile } from '../../src/control/seal-record.ts';
import { taskBody } from '../../src/control/task-body.ts';
import { emptyStore, entryOf, OTHER_TASK, REF, recorded, recorderOf, result, SHA, TASK, task } from './task.fixture.ts';

const LINK_KEY = 'link key of the test';
const HOSTILE = '<script>alert(1)</script>\u001b[31m\u202e"><img src=x onerror=alert(1)>';

async function served(t: TestContext, open = false) {
  const { store, directory } = await emptyStore(t);
  const recorder = recorderOf(store);
  const ending = new AbortController();
  t.after(() => ending.abort());
  const app = pages({ store, recorder, directory, linkKey: LINK_KEY, open, signal: ending.signal });
  await store.tasks.create(task({ issue: { ...task().issue, title: HOSTILE } }), 'delivery-1');
  return { store, recorder, directory, get: (where: string) => app.request(where), page: taskPath(LINK_KEY, TASK) };
}

describe('links', () => {
  test('the right one leads to the page; a wrong, foreign or missing one to 404', async (t) => {
    const { get, page } = await served(t);
    assert.equal((await get(page)).status, 200);
    const wrong = [
      `${page}x`,
      page.slice(0, -1),
      taskPath('another key', TASK),
      `/tasks/${TASK}/${taskPath(LINK_KEY, OTHER_TASK).split('/').at(-1)}`,
      `/tasks/${TASK}`,
      taskPath(LINK_KEY, OTHER_TASK),
    ];
    for (const where of wrong) assert.equal((await get(where)).status, 404, where);
    for (const part of ['body', 'diff', 'record', 'events']) assert.equal((await get(`${page}x/${part}`)).status, 404, part);
  });

  test('without open pages there is no list', async (t) => {
    const { get } = await served(t);
    assert.equal((await get('/tasks')).status, 404);
    assert.equal((await get('/tasks.json')).status, 404);
  });

  test('with open pages there is, and any link does', async (t) => {
    const { get } = await served(t, true);
    const list = await (await get('/tasks')).text();
    assert.ok(list.includes(taskPath(LINK_KEY, TASK)));
    assert.ok(!list.includes('<script>alert'));
    assert.equal((await get('/tasks.json')).status, 200);
    assert.equal((await get(`/tasks/${TASK}/any`)).status, 200);
  });
});

test('every answer forbids scripts but our own, frames and forms', async (t) => {
  const { get, page } = await served(t);
  for (const where of [page, `${page}/body`, '/assets/live.js', `${page}x`]) {
    const policy = (await get(where)).headers.get('content-security-policy') ?? '';
    for (const rule of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'"])
      assert.ok(policy.includes(rule), `${where}: ${rule} in ${policy}`);
  }
  const head = (await get(page)).headers;
  assert.equal(head.get('referrer-policy'), 'no-referrer');
  assert.equal(head.get('x-content-type-options'), 'nosniff');
});

describe('what others wrote', () => {
  test('is escaped text wherever it stands', () => {
    const events = recorded(
      { type: 'plan', text: HOSTILE },
      { type: 'command.ran', sandbox: 's', result: result({ command: HOSTILE, outputTail: HOSTILE }) },
      { type: 'agent.said', turn: 1, text: HOSTILE },
      { type: 'agent.tool', turn: 1, tool: HOSTILE, input: HOSTILE, output: HOSTILE, ok: true, ms: 1 },
      { type: 'output', text: HOSTILE },
      {
        type: 'door.decision',
        ...{ purpose: 'work', n: 0, phase: 'agent', route: 'egress', method: HOSTILE, host: HOSTILE, port: 443, path: HOSTILE },
        ...{
          verdict: 'refused',
          rule: null,
          reason: HOSTILE,
          address: null,
          resolver: null,
          status: 403,
          bytesUp: 0,
          bytesDown: 0,
          ms: 1,
        },
      },
      {
        type: 'quarantine.checked',
        ...{ verdict: 'held', scanner: 's', tree: SHA, files: [], diffDigest: null },
        findings: [{ rule: 'dot_directory', path: HOSTILE, detail: HOSTILE, outcome: 'hold' }],
      },
      {
        type: 'kernel.saw',
        sandbox: 's',
        processes: [
          { pid: 2, parent: 1, command: 1, executable: HOSTILE, argv: [HOSTILE] },
          { pid: 3, parent: null, command: null, executable: HOSTILE, argv: [] },
        ],
        connects: [{ pid: 2, command: 1, to: HOSTILE, result: HOSTILE }],
      },
      {
        type: 'kernel.summary',
        sandbox: 's',
        ...{ processes: 2, connects: 1, strangers: 1, notKept: 0, logBytes: 1, incomplete: HOSTILE },
      },
    );
    const hostile = task({
      state: 'failed',
      reason: 'internal',
      message: HOSTILE,
      actor: { id: 3, login: HOSTILE },
      issue: { ...task().issue, title: HOSTILE },
      base: { ref: HOSTILE, sha: SHA },
    });
    const url = `https://forge.test/"onclick="${HOSTILE}`;
    const entry = entryOf(hostile, { pullRequest: { number: 7, url, draft: false } }, `+${HOSTILE}\n-${HOSTILE}\n`);
    const shown = String(taskBody(entry, { attempt: 1, events, sealed: true, path: '/tasks/x/y' }));
    assert.doesNotMatch(shown, /<script|<img|"onclick=/i);
    assert.ok(shown.split('&lt;script&gt;').length > 15, 'and it is there');
  });

  test('escape sequences and direction controls are nowhere in what was printed', () => {
    const printed = recorded(
      { type: 'output', text: HOSTILE },
      { type: 'plan', text: HOSTILE },
      { type: 'agent.tool', turn: 1, tool: 'run', input: HOSTILE, output: HOSTILE, ok: false, ms: 1 },
      { type: 'command.ran', sandbox: 's', result: result({ outputTail: HOSTILE }) },
    );
    const shown = String(
      taskBody(entryOf(task(), {}, `+${HOSTILE}`), { attempt: 1, events: printed, sealed: false, path: '/tasks/x/y' }),
    );
    assert.ok(shown.includes('alert(1)'));
    for (const control of ['\u001b', '\u202e']) assert.ok(!shown.includes(control));
  });

  test('a diff is downloaded as text', async (t) => {
    const { store, get, page } = await served(t);
    assert.equal((await get(`${page}/diff`)).status, 404);
    await store.tasks.keepDiff(TASK, '<script>');
    const answer = await get(`${page}/diff`);
    assert.match(answer.headers.get('content-type') ?? '', /^text\/plain/);
    assert.match(answer.headers.get('content-disposition') ?? '', /^attachment/);
  });
});

test('the record is there once the attempt is sealed, and not before', async (t) => {
  const { store, directory, get, page } = await served(t);
  await mkdir(path.dirname(recordFile(directory, REF)), { recursive: true });
  await writeFile(recordFile(directory, REF), '{"a":1}\n');
  assert.equal((await get(`${page}/record`)).status, 404);
  await store.attempts.sealed(TASK, 1);
  const answer = await get(`${page}/record`);
  assert.equal(await answer.text(), '{"a":1}\n');
  assert.match(answer.headers.get('content-disposition') ?? '', new RegExp(`${TASK}-1\\.jsonl`));
});

test('the stream tells what is recorded, goes on where it was cut, and says the end', async (t) => {
  const { store, recorder, get, page } = await served(t);
  await recorder.control(REF, { type: 'trouble', what: 'first' });
  await recorder.control(REF, { type: 'trouble', what: 'second' });
  await store.attempts.end(TASK, 1, { move: { to: 'failed', reason: 'internal', message: 'x' } });
  await store.attempts.sealed(TASK, 1);
  const whole = await (await get(`${page}/events`)).text();
  assert.deepEqual(whole.match(/"what":"\w+"/g), ['"what":"first"', '"what":"second"']);
  assert.match(whole, /event: end\n/);
});

test('what passed unopened or was refused anywhere is shown; what the door serves itself is not', () => {
  const row = (route: 'tunnel' | 'git' | 'model', verdict: 'allowed' | 'refused', host: string) => ({
    type: 'door.decision' as const,
    ...{ purpose: 'work' as const, n: 0, phase: 'agent' as const, route, method: 'CONNECT', host, port: 443, path: '', verdict },
    ...{ rule: null, reason: 'r', address: null, resolver: null, status: 200, bytesUp: 0, bytesDown: 0, ms: 1 },
  });
  const events = recorded(
    row('tunnel', 'allowed', 'tunnel.test'),
    row('git', 'refused', 'pushed.test'),
    row('model', 'allowed', 'model.test'),
  );
  const page = String(taskBody(entryOf(task({})), { attempt: 1, events, sealed: false, path: '/t' }));
  assert.match(page, /tunnel\.test:443/);
  assert.match(page, /pushed\.test:443/);
  assert.doesNotMatch(page, /model\.test/);
});
