import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rig, rule, sink, temporary } from './door-rig.ts';
import { never, realDriver, sh, spec } from './real-sandbox.ts';

test('from inside gVisor the door is the way out, and the only one', async (t) => {
  const up = await sink(t);
  const directory = temporary(t);
  const { door, row } = await rig(t, {
    directory,
    rules: [rule('up.test', up.port, { methods: ['POST'] })],
    hosts: { 'up.test': '127.0.0.1' },
  });
  const sandbox = await realDriver().create(spec({ doorDirectory: directory }), never);
  await sandbox.trust(door.authority);
  const curl = async (options: string): Promise<string> =>
    (await sh(sandbox, `curl -sS -m 15 -w ' %{http_code} %{http_connect}' ${options} 2>/dev/null`)).output;
  await door.set({ phase: 'setup' });
  const target = `https://up.test:${up.port}/x`;

  assert.equal(await curl(`-d hello ${target}`), 'outside 200 200');
  assert.equal(up.requests[0]?.body, 'hello');
  assert.match(await curl(`-X DELETE ${target}`), /refused DELETE up\.test[\s\S]* 403 200$/);
  assert.match(await curl('https://other.test/'), / 000 403$/);
  assert.equal((await row(3)).host, 'other.test');
  const direct = await curl(`--noproxy '*' --connect-to up.test:${up.port}:127.0.0.1:${up.port} -d hello ${target}`);
  assert.match(direct, / 000 000$/, 'past the door there is nothing');
  assert.equal(up.requests.length, 1);

  const programs = {
    node: `fetch("${target}", {method: "POST", body: "n"}).then((r) => r.text()).then(console.log)`,
    python: `import urllib.request as u; print(u.urlopen("${target}", b"p").read().decode())`,
  };
  assert.equal((await sh(sandbox, `NODE_USE_ENV_PROXY=1 node -e '${programs.node}'`)).output, 'outside\n');
  assert.equal((await sh(sandbox, `python3 -c '${programs.python}'`)).output, 'outside\n');

  // What can be written, and what processes were given. The image is older than the authority.
  const places = '/run /tmp /work /dev/shm /proc/[0-9]*/environ';
  const look = (what: string) => sh(sandbox, `grep -rlaE '${what}' ${places} 2>/dev/null | head -n 3`);
  assert.equal((await look('BEGIN [A-Z ]*PRIVATE KEY')).output, '', 'the key of the authority is not inside');
  assert.match((await look('BEGIN [C]ERTIFICATE')).output, /^\/run\/trust\//, 'the control: its certificate is');

  await door.close();
  assert.match(await curl(`-d hello ${target}`), / 000 000$/, 'without its door a sandbox has no way out');
});
