import { type Came, type Conversation, connect, type DoorGround, inner, markOf, PORT, type Round } from './door-ground.ts';
import type { Probe, ProbeClass } from './probe.ts';

/** A probe that says something to the door, and judges what came of it. */
export interface DoorProbe extends Probe<DoorGround> {
  readonly round: Round;
  readonly conversation: Conversation;
}

interface Spoken {
  readonly name: string;
  readonly attempt: string;
  readonly class?: ProbeClass;
  readonly round?: Round;
  readonly conversation: Conversation;
  /** Statuses that count as refused; null for a connection that ends without an answer. */
  readonly refused: readonly (number | null)[];
  /** What the refusal says. */
  readonly saying?: RegExp;
}

/** A conversation that must be refused, with nothing outside reached and nothing dialled. */
export function refusal({ refused, saying, round = 'setup', class: kind = 'egress', ...said }: Spoken): DoorProbe {
  const expected = `${refused.map((status) => status ?? 'cut off').join(' or ')}, nothing dialled, nothing outside reached`;
  return {
    ...{ ...said, class: kind, round, expected },
    async run(ground) {
      const [came, control] = [await ground.came(round, said.name), await ground.control()];
      const how = 'the permitted request of the same run reached the outside';
      const worked = control?.status === 200 && control.reached.length === 1;
      if (came === null)
        return { held: false, seen: 'not asked: the door let through what stays on this machine', control: { worked, how } };
      const dialled = came.rows.filter((row) => row.verdict === 'allowed');
      const held =
        refused.includes(came.status) &&
        dialled.length === 0 &&
        came.reached.length === 0 &&
        (saying === undefined || saying.test(came.text));
      return { held, seen: told(came), control: { worked, how } };
    },
  };
}

function told({ status, text, reached }: Came): string {
  const body = text.split('\r\n\r\n').slice(1).join(' ').trim() || text.trim();
  return `${status ?? 'no answer'} ${body.split('\n')[0]?.slice(0, 140) ?? ''}${reached.length > 0 ? ` and ${reached.length} requests outside` : ''}`;
}

interface Passing extends Omit<Spoken, 'refused' | 'saying' | 'class'> {
  readonly class: ProbeClass;
  readonly expected: string;
  judge(came: Came, ground: DoorGround): boolean;
}

/** A conversation that may well pass; what has to hold is said by `judge`. */
export function passing({ judge, round = 'setup', ...said }: Passing): DoorProbe {
  return {
    ...{ ...said, round },
    async run(ground) {
      const came = await ground.came(round, said.name);
      if (came === null) return { held: false, seen: 'not asked', control: { worked: false, how: 'the round was not held' } };
      const reached = came.reached.length + ground.outside.model.requests.length > 0;
      return {
        held: judge(came, ground),
        seen: told(came),
        control: { worked: reached, how: 'the request reached the outside' },
      };
    },
  };
}

/** Stands for the outside's port until a round is held. */
export const port = PORT;

/** A conversation with a host through a tunnel, under the name that it asks for. */
export const through = (
  host: string,
  name: string,
  more: { method?: string; path?: string; headers?: string; sni?: string | null } = {},
) => ({
  send: connect(`${host}:${port}`),
  tunnel: {
    name: more.sni === undefined ? host : more.sni,
    send: inner(`${host}:${port}`, more.path ?? `/open${markOf(name)}`, more.method, more.headers),
  },
});
