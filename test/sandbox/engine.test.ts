import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openEngine, statusOf } from '../../src/sandbox/engine.ts';

async function served(t: TestContext, answer: RequestListener): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'coatcheck-engine-'));
  const server = createServer(answer).listen(join(directory, 'engine.sock'));
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return join(directory, 'engine.sock');
}

test('an engine that does not answer ends in an error within the limit', { timeout: 10_000 }, async (t) => {
  const engine = openEngine(await served(t, () => {}), 100);
  t.after(() => engine.close());
  await assert.rejects(
    engine.call('describe itself', () => engine.docker.info()),
    { code: 'engine_unreachable', message: /no answer within 100 ms/ },
  );
});

test('an engine that answers is heard, and its refusals keep their status', async (t) => {
  const socket = await served(t, (request, response) => {
    response.statusCode = request.url?.startsWith('/info') ? 200 : 404;
    response.setHeader('content-type', 'application/json').end('{"message":"no such container"}');
  });
  const engine = openEngine(socket);
  t.after(() => engine.close());
  await engine.call('describe itself', () => engine.docker.info());
  const refused = engine.call('look', (abortSignal) => engine.docker.getContainer('x').inspect({ abortSignal }));
  await assert.rejects(refused, (thrown) => statusOf(thrown) === 404);
});

test('no engine at all is said so, and what to do', async (t) => {
  const engine = openEngine('/nonexistent/docker.sock');
  t.after(() => engine.close());
  await assert.rejects(
    engine.call('describe itself', () => engine.docker.info()),
    { code: 'engine_unreachable', message: /ENOENT/ },
  );
});

test("the caller's signal ends a call with the caller's reason", async (t) => {
  const engine = openEngine(await served(t, () => {}));
  t.after(() => engine.close());
  const reason = new Error('stopped by a person');
  const caller = new AbortController();
  const call = engine.call('describe itself', () => engine.docker.info(), { signal: caller.signal });
  caller.abort(reason);
  await assert.rejects(call, reason);
});
