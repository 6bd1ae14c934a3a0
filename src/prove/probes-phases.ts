import type { EgressRule } from '../policy/egress.ts';
import { connect, inner, markOf, plain, type Round, SINK } from './door-ground.ts';
import { type DoorProbe, port, refusal, through } from './door-probe.ts';

export function phases(): DoorProbe[] {
  const closed = (round: Round): DoorProbe =>
    refusal({
      ...{ name: `the permitted host in ${round}`, attempt: `what set-up may reach, asked while the door is in ${round}`, round },
      conversation: through(SINK, `the permitted host in ${round}`),
      refused: [403],
    });
  const model = (round: Round): DoorProbe =>
    refusal({
      ...{ name: `the model in ${round}`, attempt: 'the model’s route outside of agent turns', round },
      conversation: { send: plain('model.coatcheck.internal', `/v1${markOf(`the model in ${round}`)}`) },
      refused: [403],
    });
  return [
    ...[closed('agent'), closed('verify'), closed('shut'), model('setup'), model('verify'), model('shut')],
    refusal({
      ...{ name: 'the agent’s host in set-up', attempt: 'a rule of another phase' },
      conversation: through('later.canary.test', 'the agent’s host in set-up'),
      refused: [403],
    }),
    refusal({
      ...{ name: 'the agent’s host in the clean room', attempt: 'a rule of another phase', round: 'verify' },
      conversation: through('later.canary.test', 'the agent’s host in the clean room'),
      refused: [403],
    }),
    refusal({
      ...{ name: 'the model through a tunnel', attempt: 'CONNECT to the model’s route', round: 'agent' },
      conversation: { send: connect(`model.coatcheck.internal:${port}`) },
      refused: [403],
    }),
  ];
}

/** The operator's own rules: reading a registry is no way to write to it. */
export function registries(rules: readonly EgressRule[]): DoorProbe[] {
  const readable = rules.flatMap((rule) =>
    rule.how === 'inspect' && !rule.host.startsWith('*') && !rule.methods.includes('PUT') && rule.phases.includes('setup')
      ? [rule]
      : [],
  );
  return [...new Map(readable.map((rule) => [rule.host, rule])).values()].map(({ host, ports, paths, id }) => {
    const name = `publish to ${host}`;
    return refusal({
      ...{ name, attempt: `PUT where ${id} allows reading` },
      conversation: {
        send: connect(`${host}:${ports[0]}`),
        tunnel: {
          name: host,
          send: inner(
            ports[0] === 443 ? host : `${host}:${ports[0]}`,
            `${paths[0]?.replace(/\/$/, '')}${markOf(name)}`,
            'PUT',
            'Content-Length: 0\r\n',
          ),
        },
      },
      refused: [403],
      saying: /allows|only|no rule/,
    });
  });
}
