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

/** Deliveries may be listed in another order than that of their moments. */
const OVERLAP_MS = 60_000;
/** Another look is taken at a delivery whose content could not be fetched. */
const FAILED = Symbol('failed');

/**
 * Deliveries as GitHub keeps them for the App, oldest first, each GUID once: a redelivery has the same GUID. One is taken
 * when the loop asks for the next; after a restart the same may come again, so taking it must be idempotent by GUID.
 * Ends with the signal, without throwing. https://docs.github.com/en/rest/apps/webhooks
 */
export async function* pollDeliveries(octokits: Octokits, options: PollOptions): AsyncGenerator<PolledDelivery, void, undefined> {
  const { signal, intervalMs = 10_000 } = options;
  const trouble = (error: unknown): void => {
    if (!signal.aborted) options.onTrouble?.(`Looking for deliveries: ${errorText(error)}`);
  };
  const taken = new Map<string, number>();
  let from = options.since.getTime();
  while (!signal.aborted) {
    // Only GitHub's clock counts: the window moves on by the moments that it lists, and not past one that failed.
    let newest = from;
    let failed = Number.POSITIVE_INFINITY;
    const list = await listSince(octokits, from, signal).catch((error: unknown) => {
      trouble(error);
      return [];
    });
    for (const listed of list) {
      newest = Math.max(newest, listed.at);
      if (signal.aborted || taken.has(listed.guid)) continue;
      const wanted = options.events?.has(listed.event) ?? true;
      const payload = wanted
        ? await fetchPayload(octokits, listed.id, signal).catch((error: unknown) => {
            trouble(error);
            failed = Math.min(failed, listed.at);
            return FAILED;
          })
        : undefined;
      if (payload === FAILED) continue;
      if (payload !== undefined) yield { guid: listed.guid, event: listed.event, payload };
      taken.set(listed.guid, listed.at);
    }
    from = Math.max(from, Math.min(newest - OVERLAP_MS, failed));
    for (const [guid, at] of taken) if (at < from) taken.delete(guid);
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
