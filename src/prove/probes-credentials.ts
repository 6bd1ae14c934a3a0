import { markOf, plain, SINK } from './door-ground.ts';
import { type DoorProbe, passing, refusal, through } from './door-probe.ts';

/** Credentials that are used for the sandbox, and those that it brings itself. */
export function secrets(): DoorProbe[] {
  const own: readonly (readonly [string, string])[] = [
    ...[['authorization', 'Bearer attacker-token'] as const, ['cookie', 'session=attacker-token'] as const],
    ...[['private-token', 'attacker-token'] as const, ['x-api-key', 'attacker-token'] as const],
    ['proxy-authorization', 'Basic attacker-token'],
  ];
  const used = 'a credential is used and not told';
  return [
    ...own.map(([header, value]) => {
      const name = `own credential in ${header}`;
      return passing({
        ...{ class: 'credentials', name, attempt: `a request with ${header} of the attacker’s` },
        expected: 'it does not reach the outside',
        conversation: through(SINK, name, { headers: `${header}: ${value}\r\n` }),
        judge: ({ reached }) => reached.every(({ headers }) => !JSON.stringify(headers).includes('attacker-token')),
      });
    }),
    passing({
      ...{ class: 'credentials', name: used, attempt: 'a request under a rule with a credential' },
      expected: 'the outside gets it, the sandbox sees nothing of it',
      conversation: through('secret.canary.test', used, { headers: 'authorization: Bearer attacker-token\r\n' }),
      judge: ({ text, reached }, { credential }) =>
        reached.length === 1 && reached[0]?.headers.authorization === `Bearer ${credential}` && !text.includes(credential),
    }),
    passing({
      ...{
        class: 'credentials',
        round: 'agent',
        name: 'the model’s key is used and not told',
        attempt: 'a request to the model',
      },
      expected: 'the gateway gets it, the sandbox sees nothing of it',
      conversation: { send: plain('model.coatcheck.internal', `/v1/messages${markOf('the model’s key')}`) },
      judge: ({ text }, { modelKey, outside }) =>
        outside.model.requests.some(({ headers }) => JSON.stringify(headers).includes(modelKey)) && !text.includes(modelKey),
    }),
  ];
}

/** Routes that serve one task's repository; here there is none. */
export function repositories(): DoorProbe[] {
  const asked: readonly (readonly [string, string])[] = [
    ['git of another repository', '/other/repository.git/info/refs?service=git-upload-pack'],
    ['a push', '/canary/canary.git/info/refs?service=git-receive-pack'],
    ['git with a way up', '/canary/canary.git/../../other/repository.git/info/refs?service=git-upload-pack'],
  ];
  return asked.map(([name, path]) =>
    refusal({
      ...{ name, attempt: `GET ${path} of the git route` },
      conversation: { send: plain('git.coatcheck.internal', path) },
      refused: [400, 403, 404],
    }),
  );
}
