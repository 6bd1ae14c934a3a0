/**
 * Signed webhook deliveries to apps, kept with their answers and sent again when asked.
 *
 * https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers ; GitHub gives a receiver 10 seconds
 * and never sends again by itself: https://docs.github.com/en/webhooks/using-webhooks/handling-failed-webhook-deliveries
 */
import { createHmac, randomUUID } from 'node:crypto';
import type { Account, App, Delivery, Repository } from './entities.ts';
import { installationFor } from './permissions.ts';
import { accountShape, appShape, repositoryShape, type Shape } from './represent.ts';
import { faultOfPayload } from './validation.ts';
import { nodeId, type World } from './world.ts';

const ANSWER_WITHIN_MS = 10_000;
/** Sent to apps whether they subscribed or not. */
const ALWAYS = new Set(['installation', 'ping']);

export interface Happening {
  readonly event: string;
  readonly action: string | null;
  readonly sender: Account;
  readonly repository: Repository | null;
  readonly payload: Shape;
  /** To this app alone. */
  readonly only?: App;
  readonly installationId?: number;
}

/** Tells whether a delivery gets lost on the way, although GitHub lists it. */
export type Loses = (name: string) => boolean;

export class Deliveries {
  readonly #world: World;
  readonly #loses: Loses;
  readonly #stop = new AbortController();

  constructor(world: World, loses: Loses) {
    this.#world = world;
    this.#loses = loses;
  }

  /** Sends to every app that is installed there and subscribed. Returns at once; answers arrive in the deliveries list. */
  emit(happening: Happening): void {
    for (const app of this.#world.apps) {
      if (happening.only ? happening.only !== app : !ALWAYS.has(happening.event) && !app.events.includes(happening.event))
        continue;
      const installation = happening.repository ? installationFor(this.#world, app.id, happening.repository) : undefined;
      if (happening.repository && !installation) continue;
      this.#create(app, happening, installation?.id ?? happening.installationId ?? null);
    }
  }

  #create(app: App, happening: Happening, installationId: number | null): void {
    const { event, action, repository, sender } = happening;
    const world = this.#world;
    const installation =
      installationId === null || event === 'installation'
        ? {}
        : { installation: { id: installationId, node_id: nodeId('MDIz', installationId) } };
    const payload = {
      ...(action === null ? {} : { action }),
      ...happening.payload,
      ...(repository
        ? { repository: { ...repositoryShape(world, repository), ...(event === 'push' ? pushDates(repository) : {}) } }
        : {}),
      sender: accountShape(world, sender),
      ...installation,
    };
    const name = action === null ? event : `${event}.${action}`;
    const fault = faultOfPayload(name, payload);
    if (fault !== null) world.offences.push({ at: world.timestamp(), operation: `webhook ${name}`, message: fault });
    this.#keep({
      guid: randomUUID(),
      app,
      event,
      action,
      installationId,
      repositoryId: repository?.id ?? null,
      redelivery: false,
      payload: JSON.stringify(payload),
    });
  }

  /** Sends a delivery again under its GUID, as a new entry of the list. */
  redeliver(delivery: Delivery): void {
    const { guid, app, event, action, installationId, repositoryId, payload } = delivery;
    this.#keep({ guid, app, event, action, installationId, repositoryId, payload, redelivery: true });
  }

  #keep(
    about: Pick<Delivery, 'guid' | 'app' | 'event' | 'action' | 'installationId' | 'repositoryId' | 'payload' | 'redelivery'>,
  ): void {
    const world = this.#world;
    const delivery: Delivery = {
      ...about,
      id: world.id(),
      deliveredAt: new Date(world.now()).toISOString(),
      headers: {},
      status: 'pending',
      statusCode: 0,
      durationSeconds: 0,
      response: { headers: {}, body: '' },
    };
    world.deliveries.push(delivery);
    world.touch();
    void this.#send(delivery);
  }

  async #send(delivery: Delivery): Promise<void> {
    const world = this.#world;
    const { app } = delivery;
    const started = performance.now();
    delivery.headers = headersOf(delivery, world);
    const name = delivery.action === null ? delivery.event : `${delivery.event}.${delivery.action}`;
    try {
      if (app.webhookUrl === null || this.#loses(name)) throw new Error('no way to the receiver');
      const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]);
      const answer = await fetch(app.webhookUrl, {
        method: 'POST',
        headers: delivery.headers,
        body: delivery.payload,
        redirect: 'manual',
        signal,
      });
      delivery.response = { headers: Object.fromEntries(answer.headers), body: await answer.text() };
      delivery.statusCode = answer.status;
      delivery.status = answer.ok ? 'OK' : `Invalid HTTP Response: ${answer.status}`;
    } catch (thrown) {
      const timedOut = thrown instanceof Error && thrown.name === 'TimeoutError';
      delivery.statusCode = timedOut ? 504 : 502;
      delivery.status = timedOut ? 'timed out' : 'failed to connect to host';
    }
    delivery.durationSeconds = Math.round(performance.now() - started) / 1000;
    world.touch();
  }

  /** Ends deliveries that are under way. */
  close(): void {
    this.#stop.abort();
  }
}

function headersOf(delivery: Delivery, world: World): Record<string, string> {
  const { app } = delivery;
  const sign = (algorithm: string) => createHmac(algorithm, app.webhookSecret).update(delivery.payload).digest('hex');
  return {
    accept: '*/*',
    'content-type': 'application/json',
    'user-agent': 'GitHub-Hookshot/forge',
    'x-github-delivery': delivery.guid,
    'x-github-event': delivery.event,
    'x-github-hook-id': String(app.hookId),
    'x-github-hook-installation-target-id': String(app.id),
    'x-github-hook-installation-target-type': 'integration',
    'x-github-enterprise-host': new URL(world.url).host,
    ...(app.webhookSecret === ''
      ? {}
      : { 'x-hub-signature': `sha1=${sign('sha1')}`, 'x-hub-signature-256': `sha256=${sign('sha256')}` }),
  };
}

/** Push payloads carry a repository's dates as seconds. */
function pushDates(repository: Repository): Shape {
  const seconds = Math.floor(Date.parse(repository.createdAt) / 1000);
  return { created_at: seconds, pushed_at: seconds, master_branch: repository.defaultBranch, stargazers: 0 };
}

/** GitHub's greeting to a new hook. */
export function ping(world: World, app: App): Happening {
  const url = `${world.api}/app/hook`;
  return {
    event: 'ping',
    action: null,
    sender: app.owner,
    repository: null,
    only: app,
    payload: {
      zen: 'Keep it logically awesome.',
      hook_id: app.hookId,
      hook: {
        type: 'App',
        id: app.hookId,
        name: 'web',
        active: true,
        events: [...app.events],
        config: { content_type: 'json', insecure_ssl: '0', url: app.webhookUrl ?? 'https://app.invalid/' },
        updated_at: app.createdAt,
        created_at: app.createdAt,
        app_id: app.id,
        deliveries_url: `${url}/deliveries`,
      },
      app: appShape(world, app),
    },
  };
}
