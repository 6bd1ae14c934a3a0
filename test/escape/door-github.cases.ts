/** Row 21: a door with the task's repository and one granted, under git's own route and under GitHub's names. */
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { GIT_ROUTE } from '../../src/door/door.ts';
import { RepositoryRule } from '../../src/policy/egress.ts';
import { ask, type Rig, raw, rule, type Sink, sink, statusOf, temporary } from '../e2e/door-rig.ts';
import type { EscapeCase } from './cases.ts';
import { type DoorTarget, HERE } from './door-rig.ts';
import { shared } from './shared.ts';

type Case = EscapeCase<DoorTarget>;

const GITHUB = {
  apiUrl: 'https://api.github.test',
  webUrl: 'https://github.test',
  repository: { id: 7, owner: 'acme', name: 'widget', private: true, defaultBranch: 'main' },
  issue: { number: 12, title: 'A title', body: 'A body', author: { id: 3, login: 'reader' }, hiddenSpansRemoved: 0 },
};
const NAMES = ['github.test', 'api.github.test', 'gist.github.test', 'codeload.github.test', 'raw.github.test'];

interface GitHubDoor extends Rig {
  readonly own: Sink;
  readonly granted: Sink;
}

/** GitHub's names lead to the outside, and rules list the first two: whoever forwards a request is seen there. */
const opened = shared(async ({ up, open, teardown }: DoorTarget): Promise<GitHubDoor> => {
  const gateway = async () => {
    const directory = temporary(teardown);
    chmodSync(directory, 0o755);
    const socket = join(directory, 'git.sock');
    const served = await sink(teardown, undefined, { tls: false, path: socket });
    chmodSync(socket, 0o666);
    return { socket, served };
  };
  const [own, granted] = await Promise.all([gateway(), gateway()]);
  const repository = RepositoryRule.parse({ how: 'repository', id: 'kit', repository: 'acme/kit', phases: ['agent'] });
  const it = await open({
    github: GITHUB,
    gitSocket: own.socket,
    repositories: [{ name: 'acme/kit', rule: 'kit', socket: granted.socket }],
    rules: [repository, rule('github.test', up.port), rule('api.github.test', up.port), rule('github.test', 443)],
    hosts: Object.fromEntries(NAMES.map((name) => [name, HERE])),
  });
  await it.door.set({ phase: 'agent', model: null });
  return { ...it, own: own.served, granted: granted.served };
});

type Way = 'git' | 'web' | 'api';

/** Asks by one of the three ways; the status. */
async function asked({ door }: Rig, way: Way, path: string, method = 'GET', host?: string): Promise<number> {
  if (way === 'git') {
    const request = `${method} http://${GIT_ROUTE}${path} HTTP/1.1\r\nHost: ${GIT_ROUTE}\r\nConnection: close\r\n\r\n`;
    return statusOf(await raw(door, request));
  }
  return (await ask(door, `${host ?? (way === 'web' ? 'github.test' : 'api.github.test')}:443`, path, { method })).status;
}

const refs = (name: string) => `/${name}.git/info/refs?service=git-upload-pack`;
const OTHERS: readonly (readonly [name: string, way: Way, path: string, method?: string, host?: string])[] = [
  ...(['git', 'web'] as const).flatMap((way) => [
    [`another repository of the owner, by ${way}`, way, refs('acme/other')] as const,
    [`a fork under another owner, by ${way}`, way, refs('mallory/widget')] as const,
    [`the granted name under another owner, by ${way}`, way, refs('mallory/kit')] as const,
    [`a longer name, by ${way}`, way, refs('acme/widget2')] as const,
    [
      `another repository behind dots, by ${way}`,
      way,
      '/acme/widget.git/../other.git/info/refs?service=git-upload-pack',
    ] as const,
    [`an encoded slash, by ${way}`, way, '/acme%2fother.git/info/refs?service=git-upload-pack'] as const,
    [`a push to the granted repository, by ${way}`, way, '/acme/kit.git/git-receive-pack', 'POST'] as const,
  ]),
  ['an archive of the task’s own', 'web', '/acme/widget/archive/main.tar.gz'],
  ['a file of large storage', 'web', '/acme/widget.git/info/lfs/objects/batch', 'POST'],
  ['a gist', 'web', '/0123456789abcdef.git/info/refs?service=git-upload-pack', 'GET', 'gist.github.test'],
  ['the host of archives', 'web', '/acme/widget/tar.gz/main', 'GET', 'codeload.github.test'],
  ['the host of raw files', 'web', '/acme/widget/main/README.md', 'GET', 'raw.github.test'],
  ['another repository', 'api', '/repos/acme/other'],
  ['another repository by its number', 'api', '/repositories/8'],
  ['an issue of another repository', 'api', '/repos/acme/other/issues/12'],
  ['an issue of the fork', 'api', '/repos/mallory/widget/issues/12'],
  ['another issue of its own', 'api', '/repos/acme/widget/issues/13'],
  ['the granted repository’s issues', 'api', '/repos/acme/kit/issues/12'],
  ['files of its own', 'api', '/repos/acme/widget/contents/README.md'],
  ['a comment on its own issue', 'api', '/repos/acme/widget/issues/12/comments', 'POST'],
  ['GraphQL', 'api', '/graphql', 'POST'],
  ['gists', 'api', '/gists', 'POST'],
  ['a search over all code', 'api', '/search/code?q=secret'],
  ['who it is', 'api', '/user'],
];
const OWN: Readonly<Record<Way, string>> = {
  git: refs('acme/widget'),
  web: refs('acme/widget'),
  api: '/repos/acme/widget/issues/12',
};

const others = OTHERS.map(
  ([name, way, path, method, host]): Case => ({
    row: 21,
    name: `${name}${way === 'api' ? ', by the API' : ''}`,
    attempt: `${method ?? 'GET'} ${path} ${way === 'git' ? 'on the git route' : `at ${host ?? `GitHub’s ${way} name`}`}`,
    expected: '400, 403 or 404; neither GitHub nor a mirror is asked',
    async run(target) {
      const at = await opened(target);
      const reached = () => at.own.requests.length + at.granted.requests.length + target.up.connections();
      const before = reached();
      const status = await asked(at, way, path, method, host);
      const seen = reached() - before;
      const control = await asked(at, way, OWN[way]);
      const granted = way === 'api' ? 200 : await asked(at, way, refs('acme/kit'));
      return {
        held: [400, 403, 404].includes(status) && seen === 0,
        seen: `${status}, ${seen} asked`,
        control: { worked: control === 200 && granted === 200, how: `its own ${control}, the granted one ${granted}` },
      };
    },
  }),
);

const early: Case = {
  row: 21,
  name: 'the granted repository in another phase',
  attempt: 'git fetch of it while its rule is not open',
  expected: '403 and its mirror is not asked; its own is',
  async run(target) {
    const at = await opened(target);
    await at.door.set({ phase: 'setup' });
    const before = at.granted.requests.length;
    const [status, own] = [await asked(at, 'web', refs('acme/kit')), await asked(at, 'web', refs('acme/widget'))];
    const seen = at.granted.requests.length - before;
    await at.door.set({ phase: 'agent', model: null });
    const later = await asked(at, 'web', refs('acme/kit'));
    return {
      held: status === 403 && seen === 0,
      seen: `${status}, ${seen} asked`,
      control: { worked: own === 200 && later === 200, how: `its own ${own}; in its phase ${later}` },
    };
  },
};

export const CASES: readonly Case[] = [...others, early];
