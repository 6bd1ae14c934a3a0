/** What the product counts on about webhook deliveries, which it reads from the API where nobody can reach it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from './eventually.ts';
import { refused } from './refusal.ts';
import { asApp, mint, type Target } from './target.ts';

export function notification(open: () => Target): void {
  describe('notification', () => {
    it('lists a delivery with its payload, and sends it again under the same GUID', async () => {
      const target = open();
      const where = { owner: target.repository.owner, repo: target.repository.name };
      const app = asApp(target);
      const { octokit } = await mint(target);
      const issue = await octokit.issues.create({ ...where, title: 'Contract: deliveries' });
      const at = { ...where, issue_number: issue.data.number };
      await octokit.issues.addLabels({ ...at, labels: ['coatcheck-contract'] });
      const found = await eventually('the delivery is listed', async () => {
        for (const { id, event, action } of (await app.apps.listWebhookDeliveries({ per_page: 20 })).data) {
          if (event !== 'issues' || action !== 'labeled') continue;
          const delivery = await app.apps.getWebhookDelivery({ delivery_id: id });
          if (JSON.stringify(delivery.data.request.payload).includes(`"number":${issue.data.number},`)) return delivery.data;
        }
        return undefined;
      });
      assert.equal(found.redelivery, false);
      assert.equal(found.request.headers?.['X-GitHub-Delivery'] ?? found.request.headers?.['x-github-delivery'], found.guid);
      const sent = await app.apps.redeliverWebhookDelivery({ delivery_id: found.id });
      assert.equal(sent.status, 202);
      const again = await eventually('the redelivery is listed', async () => {
        const { data } = await app.apps.listWebhookDeliveries({ per_page: 20 });
        return data.find((delivery) => delivery.guid === found.guid && delivery.redelivery);
      });
      assert.notEqual(again.id, found.id);
      await refused(app.apps.getWebhookDelivery({ delivery_id: 1 }), 404);
      await refused(octokit.apps.listWebhookDeliveries(), 401, /could not be decoded/);
      await octokit.issues.update({ ...at, state: 'closed' });
    });

    it('pages through deliveries by cursor', async () => {
      const app = asApp(open());
      const first = await app.apps.listWebhookDeliveries({ per_page: 1 });
      const cursor = /[?&]cursor=([^&>]+)/.exec(first.headers.link ?? '')?.[1] ?? '';
      assert.notEqual(cursor, '');
      const second = await app.apps.listWebhookDeliveries({ per_page: 1, cursor });
      assert.ok((second.data[0]?.id ?? 0) < (first.data[0]?.id ?? 0));
    });
  });
}
