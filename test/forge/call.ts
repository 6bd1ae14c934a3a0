/** One REST call on its way through the forge. */

import type { Deliveries } from './deliveries.ts';
import type { Actor, Repository } from './entities.ts';
import { notFound } from './failure.ts';
import type { World } from './world.ts';

export interface Context {
  readonly world: World;
  readonly deliveries: Deliveries;
}

export interface Call extends Context {
  readonly actor: Actor;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: unknown;
  /** Of operations under /repos/{owner}/{repo}: seen by the actor, and permitted. */
  readonly repository: Repository | null;
}

export interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export type Handler = (call: Call) => Answer | Promise<Answer>;
export type Handlers = Readonly<Record<string, Handler>>;

export function repositoryOf(call: Call): Repository {
  if (!call.repository) throw notFound();
  return call.repository;
}

export const param = (call: Call, name: string) => call.params[name] ?? '';
export const numberParam = (call: Call, name: string) => Number(param(call, name));

/** One page of a list, with the Link header that Octokit's pagination follows. */
export function page<T>(call: Call, path: string, items: readonly T[]): { items: readonly T[]; headers: Record<string, string> } {
  const size = Math.min(Math.max(Number(call.query.get('per_page') ?? 30) || 30, 1), 100);
  const number = Math.max(Number(call.query.get('page') ?? 1) || 1, 1);
  const last = Math.max(Math.ceil(items.length / size), 1);
  const link = (to: number, rel: string) => {
    const query = new URLSearchParams(call.query);
    query.set('page', String(to));
    return `<${call.world.api}${path}?${query}>; rel="${rel}"`;
  };
  const links = [
    ...(number > 1 ? [link(number - 1, 'prev'), link(1, 'first')] : []),
    ...(number < last ? [link(number + 1, 'next'), link(last, 'last')] : []),
  ];
  return {
    items: items.slice((number - 1) * size, number * size),
    headers: links.length > 0 ? { link: links.join(', ') } : {},
  };
}
