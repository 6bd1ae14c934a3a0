import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { type TestContext, test } from 'node:test';
import { z } from 'zod';
import { asApp } from '../contract/target.ts';
import { sample } from './sample.ts';

interface Taken {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const Payload = z.looseObject({
  action: z.string().optional(),
  sender: z.object({ login: z.string(), type: z.string() }),
  installation: z.object({ id: z.int() }).optional(),
});

async function receiver(t: TestContext, statuses: number[]) {
  const taken: Taken[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      taken.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      response.writeHead(statuses.shift() ?? 202).end('answered');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  assert.ok(address && typeof address === 'object');
  return { url: `http://127.0.0.1:${address.port}/hook`, taken };
}

const label = { repository: 'octo/sample', number: 1, label: 'coatcheck', as: 'ada' };

test('signs what it sends, and keeps it with its answer', async (t) => {
  const { url, taken } = await receiver(t, []);
  const { forge } = await sample(t, { webhookUrl: url });
  await forge.createIssue({ repository: 'octo/sample', title: 'Bug 🧥', as: 'ada' });
  await forge.labelIssue(label);
  const { deliveries, installations, offences } = await forge.waitFor(
    (state) => state.deliveries.length === 4 && state.deliveries.every(({ status }) => status !== 'pending'),
    5_000,
  );
  const events = deliveries.map(({ event, action, status }) => `${event} ${action} ${status}`);
  assert.deepEqual(events, ['ping null OK', 'installation created OK', 'issues opened OK', 'issues labeled OK']);
  const labeled = taken.find(({ body }) => Payload.parse(JSON.parse(body)).action === 'labeled');
  assert.ok(labeled);
  const { headers, body } = labeled;
  assert.equal(headers['x-hub-signature-256'], `sha256=${createHmac('sha256', 'a secret').update(body).digest('hex')}`);
  assert.equal(headers['x-github-event'], 'issues');
  assert.equal(headers['x-github-delivery'], deliveries[3]?.guid);
  assert.match(headers['user-agent'] ?? '', /^GitHub-Hookshot\//);
  assert.equal(headers['content-type'], 'application/json');
  const payload = Payload.parse(JSON.parse(body));
  assert.deepEqual(payload.sender, { login: 'ada', type: 'User' });
  assert.equal(payload.installation?.id, installations[0]?.id);
  assert.deepEqual(offences, []);
});

test('tells an app of its own deeds too', async (t) => {
  const { url } = await receiver(t, []);
  const { forge, where, mint } = await sample(t, { webhookUrl: url });
  await forge.createIssue({ repository: 'octo/sample', title: 'Bug', as: 'ada' });
  const { octokit } = await mint();
  await octokit.issues.createComment({ ...where, issue_number: 1, body: 'mine' });
  await forge.waitFor(({ deliveries }) => deliveries.some(({ event }) => event === 'issue_comment'), 5_000);
});

test('sends again under the same GUID what the receiver refused', async (t) => {
  const { url, taken } = await receiver(t, [202, 202, 202, 500]);
  const { forge, target } = await sample(t, { webhookUrl: url });
  await forge.createIssue({ repository: 'octo/sample', title: 'Bug', as: 'ada' });
  await forge.waitFor((state) => state.deliveries.length === 3 && state.deliveries.every(({ status }) => status === 'OK'), 5_000);
  await forge.labelIssue(label);
  const failed = await forge.waitFor(({ deliveries }) => deliveries.at(-1)?.status === 'Invalid HTTP Response: 500', 5_000);
  const delivery = failed.deliveries.at(-1);
  assert.ok(delivery);
  await asApp(target).apps.redeliverWebhookDelivery({ delivery_id: delivery.id });
  const { deliveries } = await forge.waitFor(
    (state) => state.deliveries.at(-1)?.redelivery === true && state.deliveries.at(-1)?.status === 'OK',
    5_000,
  );
  assert.equal(deliveries.at(-1)?.guid, delivery.guid);
  assert.notEqual(deliveries.at(-1)?.id, delivery.id);
  assert.equal(taken.at(-1)?.body, taken.at(-2)?.body);
});

test('loses a delivery on demand, and still lists it', async (t) => {
  const { url, taken } = await receiver(t, []);
  const { forge, target } = await sample(t, { webhookUrl: url });
  await forge.misbehave({ operation: '^issues\\.labeled$', action: { do: 'lose_webhook' } });
  await forge.createIssue({ repository: 'octo/sample', title: 'Bug', as: 'ada' });
  await forge.labelIssue(label);
  const { deliveries } = await forge.waitFor(
    (state) => state.deliveries.length === 4 && state.deliveries.every(({ status }) => status !== 'pending'),
    5_000,
  );
  assert.equal(deliveries[3]?.statusCode, 502);
  assert.ok(!taken.some(({ body }) => body.includes('"labeled"')));
  assert.ok(taken.some(({ body }) => body.includes('"opened"')));
  const listed = await asApp(target).apps.listWebhookDeliveries();
  assert.equal(listed.data[0]?.guid, deliveries[3]?.guid);
  await forge.redeliver(deliveries[3]?.guid ?? '');
  await forge.waitFor((state) => state.deliveries.at(-1)?.status === 'OK' && state.deliveries.at(-1)?.redelivery === true, 5_000);
  assert.ok(taken.some(({ body }) => body.includes('"labeled"')));
});
