/** Rows 45 and 60: what tokens are for, whom they are given to, and when they end. */
import { execFile } from 'node:child_process';
import { sign } from 'node:crypto';
import { promisify } from 'node:util';
import { GrantAnswer } from '../../src/task/protocol.ts';
import { HUMAN, type Outcome } from '../e2e/way.ts';
import type { ForgeState } from '../forge/forge.ts';
import { PERSON } from '../git/repositories.ts';
import type { EscapeCase } from './cases.ts';
import { beat, gitDirectory, honest, pair, short, waitUntil } from './control-parts.ts';
import type { ControlTarget, Held } from './control-rig.ts';

type Case = EscapeCase<ControlTarget>;

const run = promisify(execFile);

const ofHosts: readonly Case[] = [
  {
    row: 60,
    name: 'a write token',
    attempt: 'a host asks for repository_write',
    expected: '400; no write token is ever made for a host',
    async run(target) {
      const { ours } = await pair(target);
      const answer = await target.call('grant', ours.token, { grant: 'repository_write' });
      const read = await target.grant(ours);
      const { tokens } = await target.forge.state();
      const name = ours.running.repository;
      const writing = tokens.filter(
        ({ repositories, permissions }) => repositories?.includes(name) && permissions['contents'] === 'write',
      );
      return {
        held: answer.status === 400 && writing.length === 0,
        seen: `${short(answer)}; ${writing.length} write tokens`,
        control: { worked: read.grant === 'repository_read', how: 'a read token is given' },
      };
    },
  },
  ...(['by its name', 'by a rule that is not in the work order'] as const).map(
    (what): Case => ({
      row: 60,
      name: `a read token for another repository, ${what}`,
      attempt: 'a host asks for the repository of another task',
      expected: 'refused; every token of the task is for its own repository',
      async run(target) {
        const { ours, theirs } = await pair(target);
        const [at, other] = [ours.running.repository, theirs.running.repository];
        const more = what === 'by its name' ? { repository: other } : { rule: other };
        const answer = await target.call('grant', ours.token, { grant: 'repository_read', ...more });
        const read = await target.grant(ours);
        const { tokens } = await target.forge.state();
        const given = GrantAnswer.safeParse(JSON.parse(answer.text)).data;
        const wide = tokens.filter(
          ({ token, repositories, permissions }) =>
            'contents' in permissions && repositories?.length !== 1 && !ownMints.has(token),
        );
        return {
          held: given === undefined && wide.length === 0,
          seen: `${short(answer)}; ${wide.length} tokens for more than one repository`,
          control: { worked: read.grant === 'repository_read' && read.url.includes(at), how: 'its own is given' },
        };
      },
    }),
  ),
  ...(['read another repository', 'push', 'write through the API'] as const).map(
    (what): Case => ({
      row: 60,
      name: `its read token is used to ${what}`,
      attempt: `a host takes the token it was given and tries to ${what}`,
      expected: 'GitHub refuses; the task’s own repository can be read with it',
      async run(target) {
        const { ours, theirs } = await pair(target);
        const read = await target.grant(ours);
        if (read.grant !== 'repository_read') throw new Error('another grant');
        const authorization = `Basic ${Buffer.from(`x-access-token:${read.token}`).toString('base64')}`;
        const git = (...args: string[]) =>
          run('git', ['-c', `http.extraHeader=Authorization: ${authorization}`, ...args], {
            env: { ...PERSON, GIT_TERMINAL_PROMPT: '0' },
          }).then(
            ({ stdout }) => `0 ${stdout.slice(0, 60)}`,
            (error: { code?: number; stderr?: string }) => `${error.code} ${error.stderr?.trim()}`,
          );
        const control = await git('ls-remote', read.url);
        const attempts = {
          'read another repository': () => git('ls-remote', read.url.replace(ours.running.repository, theirs.running.repository)),
          push: () => git(`--git-dir=${gitDirectory(target, ours)}`, 'push', read.url, 'HEAD:refs/heads/evil'),
          'write through the API': async () => {
            const url = `${target.forge.api}/repos/${ours.running.repository}/issues`;
            const headers = { authorization: `Bearer ${read.token}`, 'content-type': 'application/json' };
            const response = await fetch(url, { method: 'POST', headers, body: '{"title":"x"}' });
            return `${response.status} ${(await response.text()).slice(0, 80)}`;
          },
        };
        const seen = await attempts[what]();
        return { held: !/^(?:0|20\d) /.test(seen), seen, control: { worked: control.startsWith('0 '), how: control } };
      },
    }),
  ),
];

const MINT = 'POST /app/installations/{installation_id}/access_tokens';
const LEAST: readonly object[] = [
  { contents: 'read' },
  { contents: 'read', metadata: 'read' },
  { contents: 'write' },
  { metadata: 'read', contents: 'read', issues: 'write', pull_requests: 'write', checks: 'write' },
];

const scope: Case = {
  row: 45,
  name: 'what is asked of GitHub for each token',
  attempt: 'a token could be for all repositories, or for all that the App may',
  expected: 'every request names one repository and the least permissions',
  async run(target) {
    await honest(target);
    const { requests, installations } = await target.forge.state();
    const asked = requests.filter(({ operation }) => operation === MINT).map(({ body }) => body as Record<string, unknown>);
    const wide = asked.filter(({ repository_ids: ids, repositories, permissions }) => {
      const named = [ids, repositories].flatMap((list) => (Array.isArray(list) ? list : []));
      // By which the App finds out who it is; nothing of any repository can be read with it.
      const nobodys = named.length === 0 && same({ metadata: 'read' }, permissions);
      return !nobodys && !(named.length === 1 && LEAST.some((least) => same(least, permissions)));
    });
    const all = await unscoped(target, installations[0]?.id ?? 0);
    return {
      held: asked.length > 3 && wide.length === 0,
      seen: `${asked.length} requests, ${wide.length} wider: ${JSON.stringify(wide.slice(0, 2))}`,
      control: { worked: all, how: 'GitHub gives a token for everything to who asks for no less' },
    };
  },
};
const same = (a: object, b: unknown): boolean =>
  JSON.stringify(Object.entries(a).sort()) === JSON.stringify(Object.entries(b as object).sort());

/** Asks GitHub, as the App, for a token without a limit. */
const ownMints = new Set<string>();
async function unscoped({ forge, deployment }: ControlTarget, installation: number): Promise<boolean> {
  const now = Math.floor(Date.now() / 1000);
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const head = `${part({ alg: 'RS256', typ: 'JWT' })}.${part({ iat: now - 10, exp: now + 300, iss: deployment.app.appId })}`;
  const jwt = `${head}.${sign('RSA-SHA256', Buffer.from(head), deployment.app.privateKey).toString('base64url')}`;
  const url = `${forge.api}/app/installations/${installation}/access_tokens`;
  const response = await fetch(url, { method: 'POST', headers: { authorization: `Bearer ${jwt}` } });
  const { token } = (await response.json()) as { token: string };
  ownMints.add(token);
  const { tokens } = await forge.state();
  // Not left alive: it is nobody's.
  await fetch(`${forge.api}/installation/token`, { method: 'DELETE', headers: { authorization: `Bearer ${token}` } });
  return tokens.some((known) => known.token === token && known.repositories === null);
}

interface Exit {
  readonly name: string;
  readonly state: string;
  readonly leave: (target: ControlTarget, held: Held) => Promise<Outcome>;
}

const EXITS: readonly Exit[] = [
  { name: 'success', state: 'ready', leave: (t, held) => t.handOver(held, t.change(held, { 'x.txt': 'x\n' })) },
  {
    name: 'a refusal',
    state: 'refused',
    leave: (t, held) => t.handOver(held, { ...t.change(held, { 'x.txt': 'x\n' }), tree: '1'.repeat(40) }),
  },
  { name: 'a failure', state: 'failed', leave: (t, held) => t.end(held, 'model_unavailable') },
  {
    name: 'no change',
    state: 'no_change',
    leave: async (t, held) => {
      const outcome = { outcome: 'no_change', summary: { title: '', body: '' } };
      await t.call('finish', held.token, { cleanup: { looked: [] }, plan: null, outcome });
      t.forget(held);
      return held.running.outcome;
    },
  },
  {
    name: 'a stop',
    state: 'cancelled',
    leave: async (t, held) => {
      const { repository, number } = held.running;
      await t.forge.comment({ repository, number, as: HUMAN, body: '/coatcheck stop' });
      await waitUntil(async () => (await t.call('events', held.token, beat)).text.includes('"stopped"'));
      return t.end(held, 'stopped');
    },
  },
  {
    name: 'a host that died',
    state: 'failed',
    leave: async (t, held) => {
      t.forget(held);
      await held.running.event('attempt.lost');
      return t.end(await t.claimed(held.running, 2));
    },
  },
];

const exits = EXITS.map(
  ({ name, state, leave }): Case => ({
    row: 45,
    name: `revoked after ${name}`,
    attempt: `a host keeps the read token of an attempt that ended by ${name}`,
    expected: 'GitHub knows it no more, nor any other token for git of the task',
    async run(target) {
      const held = await target.hold(`exit by ${name}`);
      const read = await target.grant(held);
      if (read.grant !== 'repository_read') throw new Error('another grant');
      const ask = () =>
        fetch(`${target.forge.api}/repos/${held.running.repository}/git/ref/heads/main`, {
          headers: { authorization: `Bearer ${read.token}` },
        }).then(({ status }) => status);
      const before = await ask();
      const outcome = await leave(target, held);
      const after = await ask();
      const live = tokensOf(outcome.state, held).filter((token) => token.state === 'live');
      return {
        held: outcome.end.task.state === state && after === 401 && live.length === 0,
        seen: `${outcome.end.task.state}; the token ${after}; ${live.length} alive`,
        control: { worked: before === 200, how: `while the attempt ran: ${before}` },
      };
    },
  }),
);

/** Tokens for git that were made for a task's repository. */
const tokensOf = ({ tokens }: ForgeState, { running }: Held) =>
  tokens.filter(
    ({ repositories, permissions }) =>
      repositories?.includes(running.repository) &&
      Object.keys(permissions).every((name) => name === 'contents' || name === 'metadata'),
  );

const expiring: Case = {
  row: 45,
  alone: true,
  name: 'tokens that expire after 60 seconds, and at once',
  attempt: 'GitHub’s tokens end in the middle of the run',
  expected: 'others are made in their place, and the task goes its way',
  async run(target) {
    const { id } = await target.forge.misbehave({ times: 1000, action: { do: 'short_token', lifeMs: 60_000 } });
    const held = await target.hold('expiring');
    await target.forge.release(id);
    // The host's own, gone before it is used: the next is another.
    const gone = await target.forge.misbehave({ times: 1, action: { do: 'short_token', lifeMs: 1 } });
    const [first, second] = [await target.grant(held), await target.grant(held)];
    await target.forge.release(gone.id);
    if (first.grant !== 'repository_read' || second.grant !== 'repository_read') throw new Error('another grant');
    const use = (token: string) =>
      fetch(`${target.forge.api}/repos/${held.running.repository}/git/ref/heads/main`, {
        headers: { authorization: `Bearer ${token}` },
      });
    const [expired, renewed] = [await use(first.token), await use(second.token)];
    const more = await target.forge.misbehave({ times: 1000, action: { do: 'short_token', lifeMs: 60_000 } });
    const outcome = await target.handOver(held, target.change(held, { 'x.txt': 'x\n' }));
    await target.forge.release(more.id);
    const minted = outcome.state.tokens.filter(({ repositories }) => repositories?.includes(held.running.repository));
    const brief = minted.filter(({ createdAt, expiresAt }) => expiresAt - createdAt <= 60_000);
    return {
      held: outcome.end.task.state === 'ready' && renewed.status === 200,
      seen: `${outcome.end.task.state} with ${minted.length} tokens, ${brief.length} of at most 60 s`,
      control: { worked: expired.status === 401 && brief.length > 2, how: `the expired one: ${expired.status}` },
    };
  },
};

export const CASES: readonly Case[] = [...ofHosts, scope, ...exits, expiring];
