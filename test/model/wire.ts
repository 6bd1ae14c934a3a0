import type { IncomingHttpHeaders } from 'node:http';
import type { Conversation, Turn } from './script.ts';

/** A request as the dialect reads it. */
export interface Asked {
  readonly model: string;
  readonly stream: boolean;
  /** Whether a stream ends with its usage. */
  readonly includeUsage: boolean;
  readonly conversation: Conversation;
  readonly inputTokens: number;
}

export interface StreamEvent {
  readonly event?: string;
  readonly data: string;
}

/** One dialect on the server's side. */
export interface Wire {
  readonly path: string;
  /** The key that a request carries, if any. */
  key(headers: IncomingHttpHeaders): string | undefined;
  /** Why the headers are not what the vendor asks for; null when they are. */
  badHeaders(headers: IncomingHttpHeaders): string | null;
  /** @throws ZodError for a request that the vendor would refuse. */
  read(body: unknown, bytes: number): Asked;
  answer(asked: Asked, turn: Turn): unknown;
  events(asked: Asked, turn: Turn): readonly StreamEvent[];
  error(status: number, message: string): { status: number; body: unknown };
  contextExceeded(): { status: number; body: unknown };
}

/** Text cut into pieces, as a model's words arrive. */
export function pieces(text: string, length = 24): readonly string[] {
  const points = Array.from(text);
  return Array.from({ length: Math.ceil(points.length / length) }, (_, i) => points.slice(i * length, (i + 1) * length).join(''));
}

/** Counted the same way each time, so that costs can be asserted. */
export const outputTokens = (turn: Turn): number => 8 + Math.ceil((turn.text.length + JSON.stringify(turn.calls).length) / 4);

/** From the second turn on, half of the input is said to come from the cache. */
export const cachedTokens = ({ inputTokens, conversation }: Asked): number =>
  conversation.turn > 0 ? Math.floor(inputTokens / 2) : 0;

let calls = 0;
export const newId = (prefix: string): string => {
  calls += 1;
  return `${prefix}${String(calls).padStart(8, '0')}`;
};
