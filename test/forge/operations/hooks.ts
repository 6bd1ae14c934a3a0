/** https://docs.github.com/en/rest/apps/webhooks */
import { type Call, type Handlers, numberParam } from '../call.ts';
import type { App, Delivery } from '../entities.ts';
import { ApiFailure, notFound } from '../failure.ts';

function appOf(call: Call): App {
  const app = call.world.appOf(call.actor);
  if (!app) throw notFound();
  return app;
}

function itemShape(delivery: Delivery) {
  return {
    id: delivery.id,
    guid: delivery.guid,
    delivered_at: delivery.deliveredAt,
    redelivery: delivery.redelivery,
    duration: delivery.durationSeconds,
    status: delivery.status,
    status_code: delivery.statusCode,
    event: delivery.event,
    action: delivery.action,
    installation_id: delivery.installationId,
    repository_id: delivery.repositoryId,
    throttled_at: null,
  };
}

function deliveryOf(call: Call): Delivery {
  const found = call.world.deliveries.find((known) => known.app === appOf(call) && known.id === numberParam(call, 'delivery_id'));
  if (!found) throw notFound();
  return found;
}

/** Newest first; the cursor is the id of the last one seen. */
function list(call: Call) {
  const size = Math.min(Math.max(Number(call.query.get('per_page') ?? 30) || 30, 1), 100);
  const cursor = call.query.get('cursor');
  if (cursor !== null && !/^\d+$/.test(cursor)) throw new ApiFailure(422, 'Invalid cursor');
  const done = call.world.deliveries.filter((known) => known.app === appOf(call) && known.status !== 'pending').toReversed();
  const older = cursor === null ? done : done.filter((known) => known.id < Number(cursor));
  const items = older.slice(0, size);
  const last = items.at(-1);
  const next =
    older.length > size && last
      ? { link: `<${call.world.api}/app/hook/deliveries?per_page=${size}&cursor=${last.id}>; rel="next"` }
      : {};
  return { status: 200, body: items.map(itemShape), headers: next };
}

export const hooks: Handlers = {
  'GET /app/hook/config': (call) => {
    const app = appOf(call);
    const secret = app.webhookSecret === '' ? {} : { secret: '********' };
    return { status: 200, body: { content_type: 'json', insecure_ssl: '0', url: app.webhookUrl ?? '', ...secret } };
  },
  'GET /app/hook/deliveries': list,
  'GET /app/hook/deliveries/{delivery_id}': (call) => {
    const delivery = deliveryOf(call);
    return {
      status: 200,
      body: {
        ...itemShape(delivery),
        url: delivery.app.webhookUrl ?? '',
        request: { headers: delivery.headers, payload: JSON.parse(delivery.payload) },
        response: { headers: delivery.response.headers, payload: delivery.response.body },
      },
    };
  },
  'POST /app/hook/deliveries/{delivery_id}/attempts': (call) => {
    call.deliveries.redeliver(deliveryOf(call));
    return { status: 202, body: {} };
  },
};

export const meta: Handlers = {
  'GET /meta': (call) => ({
    status: 200,
    body: {
      verifiable_password_authentication: true,
      hooks: ['127.0.0.0/8'],
      web: ['127.0.0.0/8'],
      api: ['127.0.0.0/8'],
      git: ['127.0.0.0/8'],
      domains: { website: [new URL(call.world.url).host] },
    },
  }),
  'GET /rate_limit': (call) => {
    const limit = { limit: 5000, used: 0, remaining: 5000, reset: Math.floor(call.world.now() / 1000) + 3600 };
    return { status: 200, body: { resources: { core: limit, search: limit }, rate: limit } };
  },
};
