/** Rows 46 and 59: deliveries that GitHub did not send, and installations that the operator does not know. */
import { createHmac } from 'node:crypto';
import { HUMAN, type Place } from '../e2e/way.ts';
import type { EscapeCase, Observation } from './cases.ts';
import type { ControlTarget } from './control-rig.ts';
import { shared } from './shared.ts';

type Case = EscapeCase<ControlTarget>;

interface Delivered {
  readonly name: string;
  readonly status: number;
  readonly headers?: (target: ControlTarget, body: string) => Record<string, string | null>;
  readonly body?: (signed: string) => string;
}

const hmac = (algorithm: string, secret: string, body: string) =>
  `${algorithm}=${createHmac(algorithm, secret).update(body).digest('hex')}`;

const DELIVERIES: readonly Delivered[] = [
  {
    name: 'a signature by another secret',
    status: 401,
    headers: (_, body) => ({ 'x-hub-signature-256': hmac('sha256', 'another secret', body) }),
  },
  {
    name: 'a signature by Probot’s own default',
    status: 401,
    headers: (_, body) => ({ 'x-hub-signature-256': hmac('sha256', 'development', body) }),
  },
  { name: 'no signature', status: 401, headers: () => ({ 'x-hub-signature-256': null }) },
  {
    name: 'a SHA-1 signature alone',
    status: 401,
    headers: ({ deployment }, body) => ({
      'x-hub-signature-256': null,
      'x-hub-signature': hmac('sha1', deployment.webhookSecret, body),
    }),
  },
  {
    name: 'a SHA-1 digest under the name of SHA-256',
    status: 401,
    headers: ({ deployment }, body) => ({
      'x-hub-signature-256': hmac('sha1', deployment.webhookSecret, body).replace('sha1', 'sha256'),
    }),
  },
  {
    name: 'a body that was changed after it was signed',
    status: 401,
    body: (signed) => signed.replace('"labeled"', '"labeled" '),
  },
  {
    name: 'another sender put in after it was signed',
    status: 401,
    body: (signed) => signed.replace(/"sender":\{[^}]*\}/, '"sender":{"id":1,"login":"root","type":"User"}'),
  },
  { name: 'a body over size', status: 413, body: (signed) => signed.padEnd(26 << 20, ' ') },
  {
    name: 'a form',
    status: 415,
    headers: () => ({ 'content-type': 'application/x-www-form-urlencoded' }),
    body: (signed) => `payload=${encodeURIComponent(signed)}`,
  },
  { name: 'no delivery id', status: 400, headers: () => ({ 'x-github-delivery': null }) },
  { name: 'a compressed body', status: 415, headers: () => ({ 'content-encoding': 'gzip' }) },
];

async function labelled({ way, forge }: ControlTarget, repository: string, number: number, installationOf = repository) {
  const state = await forge.state();
  const [owner = '', name = ''] = repository.split('/');
  const known = state.repositories.find(({ fullName }) => fullName === repository);
  const ada = await forge.createUser(HUMAN);
  const sender = { id: ada.id, login: ada.login, type: 'User' };
  const account = installationOf.split('/')[0];
  return {
    action: 'labeled',
    label: { name: 'coatcheck' },
    issue: { number, title: 'x', body: '', state: 'open', user: sender },
    repository: { id: known?.id, name, owner: { login: owner }, private: true, default_branch: 'main' },
    sender,
    installation: { id: state.installations.find((one) => one.account === account)?.id },
    url: way.url,
  };
}

/** A delivery that was signed as it should be starts a task. */
const signedStarts = shared(async (target: ControlTarget): Promise<Observation['control']> => {
  const at = await target.way.openIssue({ title: 'signed', files: { 'a.txt': 'a\n' } });
  const status = await target.deliver(await labelled(target, at.repository, at.number));
  const held = await target.claimed(await target.way.follow(at));
  await target.end(held);
  return { worked: status === 200, how: `signed as it should be: ${status}, and a task` };
});

/** A repository whose issues nobody labels. */
const unsigned = shared((target: ControlTarget) => target.way.openIssue({ title: 'unsigned', files: { 'a.txt': 'a\n' } }));

/** Another issue on a repository. */
async function another({ forge }: ControlTarget, { repository }: Place): Promise<Place> {
  const { number } = await forge.createIssue({ repository, as: HUMAN, title: 'unsigned', body: null });
  return { repository, number };
}

const deliveries = DELIVERIES.map(
  ({ name, status, headers, body }): Case => ({
    row: 46,
    name,
    attempt: `a delivery that would start a task, with ${name}`,
    expected: `${status}, no task`,
    async run(target) {
      const at = await another(target, await unsigned(target));
      const payload = await labelled(target, at.repository, at.number);
      const signed = JSON.stringify(payload);
      const answer = await target
        .deliver(payload, { ...(headers && { headers: headers(target, signed) }), ...(body && { body: body(signed) }) })
        .catch(() => 413); // cut while it was still being sent
      const control = await signedStarts(target);
      const tasks = await target.way.tasks(at);
      return { held: answer === status && tasks.length === 0, seen: `${answer}, ${tasks.length} tasks`, control };
    },
  }),
);

const STRANGER = 'stranger';
const theirs = shared(async ({ forge, way, deployment }: ControlTarget) => {
  await forge.createUser(STRANGER);
  const { installationId } = await forge.install({ app: deployment.app.slug, owner: STRANGER });
  const repository = { owner: STRANGER, name: 'own' };
  return { installation: installationId, at: await way.openIssue({ title: 'mine', files: { 'a.txt': 'a\n' }, repository }) };
});

const strangers = (['the label', 'a stop', 'an assignment'] as const).map(
  (what): Case => ({
    row: 59,
    name: `${what} on an installation that the operator does not know`,
    attempt: `somebody installs the App on their own account and sends ${what}`,
    expected: 'no task, no token, no call of the model, no word',
    async run(target) {
      const { forge, way } = target;
      const { installation, at: first } = await theirs(target);
      const at = await another(target, first);
      const payload = await labelled(target, at.repository, at.number);
      const sent = {
        'the label': { payload, event: 'issues' },
        'a stop': {
          payload: { ...payload, action: 'created', comment: { id: 1, body: '/coatcheck stop' } },
          event: 'issue_comment',
        },
        'an assignment': { payload: { ...payload, action: 'assigned', assignee: { login: HUMAN } }, event: 'issues' },
      }[what];
      const answer = await target.deliver(sent.payload, { headers: { 'x-github-event': sent.event } });
      const control = await signedStarts(target);
      const state = await forge.state();
      const tokens = state.tokens.filter((token) => token.installation === installation);
      const words = state.issues.filter(({ repository }) => repository === at.repository).flatMap(({ comments }) => comments);
      const tasks = await way.tasks(at);
      const models = await way.model.requests();
      return {
        held: tasks.length + tokens.length + words.length + models.length === 0,
        seen: `${answer}: ${tasks.length} tasks, ${tokens.length} tokens, ${words.length} comments, ${models.length} model calls`,
        control,
      };
    },
  }),
);

export const CASES: readonly Case[] = [...deliveries, ...strangers];
