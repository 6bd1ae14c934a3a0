import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { openEngine } from '../../src/sandbox/engine.ts';
import { NotRunning, openExec } from '../../src/sandbox/exec-channel.ts';

const CALL = { user: '1000:1000', command: ['true'], cwd: '/', env: {}, stdin: false };
const ID = 'ae3eed945486';

/** An engine that prepares every command and answers its start so. */
async function openWhere(t: TestContext, status: number, message: string) {
  const folder = await mkdtemp(path.join(tmpdir(), 'coatcheck-engine-'));
  const server = createServer((request, response) => {
    const starts = request.url?.endsWith('/start') === true;
    request.resume();
    response.writeHead(starts ? status : 201, { 'content-type': 'application/json' });
    response.end(JSON.stringify(starts ? { message } : { Id: 'e1' }));
  });
  server.listen(path.join(folder, 'docker.sock'));
  await once(server, 'listening');
  const engine = openEngine(path.join(folder, 'docker.sock'));
  t.after(async () => {
    engine.close();
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true, force: true });
  });
  return openExec(engine, engine.docker.getContainer(ID), CALL);
}

test('a container that dies between the preparation of a command and its start does not run', async (t) => {
  // As Docker 20.10 says it.
  const said = `Container ${ID} is not running: Exited (137) Less than a second ago`;
  await assert.rejects(openWhere(t, 500, said), NotRunning);
  await assert.rejects(openWhere(t, 409, `Container ${ID} is not running`), NotRunning);
  await assert.rejects(openWhere(t, 404, 'No such exec instance: e1'), NotRunning);
});

test('another fault of the engine is told as it is', async (t) => {
  await assert.rejects(openWhere(t, 500, 'no space left on device'), { statusCode: 500 });
});
