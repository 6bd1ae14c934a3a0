import { setTimeout as delay } from 'node:timers/promises';
import { errorText } from '../errors.ts';
import { call, statusOf } from './failure.ts';
import type { Octokits } from './octokit.ts';

export interface PolledDelivery {
  guid: string;
  event: string;
  payload: unknown;
}

export interface PollOptions {
  /** Deliveries from before this moment are not looked at. GitHub keeps them for three days. */
  since: Date;
  signal: AbortSignal;
  /** Milliseconds between two looks; 10 s when not given. */
  intervalMs?: number;
  /** Events whose content is fetched; the others are passed over. All when not given. */
  events?: ReadonlySet<string>;
  /** Told of a look that failed; the next one comes after the interval. */
  onTrouble?: (text: string) => void;
  /** Looks once and ends: for finding what was missed. */
  once?: boolean;
}

/** A delivery is listed a while before or after its moment by another machine's clock. */
const OVERLAP_MS = 60_000;

/**
 * Deliveries as GitHub keeps them for the App, oldest first, each GUID once: a redelivery has the same GUID. One is taken
 * when the loop asks for the next; after a restart the same may come again, so taking it must be idempotent by GUID.
 * Ends with the signal, without throwing. https://docs.github.com/en/rest/apps/webhooks
 */
export async function* pollDeliveries(octokits: Octokits, options: PollOptions): AsyncGenerator<PolledDelivery, void, undefined> {
  const { signal, intervalMs = 10_000, onTrouble } = options;
  const taken = new Map<string, number>();
  let from = options.since.getTime();
  while (!signal.aborted) {
    try {
      const started = Date.now();
      for (const listed of await listSince(octokits, from, signal)) {
        if (taken.has(listed.guid)) continue;
        if (options.events?.has(listed.event) ?? true) {
          const payload = await fetchPayload(octokits, listed.id, signal);
          if (payload !== undefined) yield { guid: listed.guid, event: listed.event, payload };
        }
        taken.set(listed.guid, listed.at);
      }
      from = Math.max(from, started - OVERLAP_MS);
      for (const [guid, at] of taken) if (at < from - OVERLAP_MS) taken.delete(guid);
    } catch (error) {
      if (signal.aborted) return;
      onTrouble?.(`Looking for deliveries failed: ${errorText(error)}`);
    }
    if (options.once === true) return;
    await delay(intervalMs, undefined, { signal }).catch(() => undefined);
  }
}

interface Listed {
  id: number;
  guid: string;
  event: string;
  at: number;
}

/** Oldest first; GitHub lists the newest first, 100 a page. */
async function listSince(octokits: Octokits, from: number, signal: AbortSignal): Promise<Listed[]> {
  return call('Listing deliveries', signal, async () => {
    const app = await octokits.app();
    const found: Listed[] = [];
    const pages = app.paginate.iterator(app.rest.apps.listWebhookDeliveries, { per_page: 100, request: { signal } });
    for await (const { data } of pages) {
      for (const { id, guid, event, delivered_at } of data) {
        const at = Date.parse(delivered_at);
        if (at >= from) found.push({ id, guid, event, at });
      }
      const oldest = data.at(-1);
      if (oldest === undefined || Date.parse(oldest.delivered_at) < from) break;
    }
    return found.reverse();
  });
}

/** The delivery's content; undefined when GitHub has dropped it meanwhile. */
async function fetchPayload(octokits: Octokits, id: number, signal: AbortSignal): Promise<unknown> {
  return call('Fetching a delivery', signal, async () => {
    try {
      const app = await octokits.app();
      const { data } = await app.rest.apps.getWebhookDelivery({ delivery_id: id, request: { signal } });
      return data.request.payload ?? undefined;
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw error;
    }
  });
}
