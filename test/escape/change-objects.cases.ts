/** Row 38: objects that no honest git would write. */
import type { EscapeCase } from './cases.ts';
import { below, blob, bundled, idOfBlob, notPublished, type Parts, passes, rootWith, taken, X } from './change-parts.ts';
import type { GitTarget } from './git-rig.ts';

type Case = EscapeCase<GitTarget>;

const config = '[core]\n\tfsmonitor = touch /nonexistent/marker\n';
const dotGit =
  (name: string | Buffer) =>
  (target: GitTarget): Parts => {
    const parts = below(target, '40000', name, [['100644', 'config', idOfBlob(config)]]);
    return { ...parts, objects: [...parts.objects, blob(config)] };
  };
const modules =
  (text: string, mode = '100644') =>
  (target: GitTarget): Parts => {
    const { objects, tree } = rootWith(target, [[mode, '.gitmodules', idOfBlob(text)]]);
    return { objects: [...objects, blob(text)], tree };
  };
const submodule = (name: string, url: string, path = 'x'): string => `[submodule "${name}"]\n\tpath = ${path}\n\turl = ${url}\n`;

/** `honest`: the nearest harmless form, where plain git refuses the hostile one too. */
const HOSTILE: readonly (readonly [name: string, make: (target: GitTarget) => Parts, honest?: (target: GitTarget) => Parts])[] = [
  ...[
    '.git',
    '.GIT',
    '.Git',
    'git~1',
    'GIT~1',
    '.git ',
    '.git.',
    '.git::$INDEX_ALLOCATION',
    '.g\u200cit',
    '.gi\u206at',
    '.\ufeffgit',
  ].map((name) => [`a directory named ${JSON.stringify(name)}`, dotGit(name)] as const),
  ['a directory named ".."', dotGit('..')],
  ['a directory named "."', dotGit('.')],
  ['an empty name', dotGit(''), dotGit('gitty')],
  ['a slash in a name', dotGit('a/b')],
  ['a backslash and .git', dotGit('src\\.git')],
  ['.gitmodules as a link', modules('README.md', '120000')],
  ['a submodule whose name climbs', modules(submodule('../../x', 'https://git.test/x.git'))],
  ['a submodule whose url is an option', modules(submodule('x', '-u./evil'))],
  ['a submodule whose path is an option', modules(submodule('x', 'https://git.test/x.git', '-x'))],
  ['a submodule with update = !command', modules(`${submodule('x', 'https://git.test/x.git')}\tupdate = !touch marker\n`)],
  [
    'the same name twice',
    (target) =>
      rootWith(target, [
        ['100644', 'z', idOfBlob(X)],
        ['100755', 'z', idOfBlob(X)],
      ]),
  ],
  ['names out of order', (target) => rootWith(target, [['100644', '!first', idOfBlob(X)]], false)],
  ['a mode of a device', (target) => rootWith(target, [['060644', 'z', idOfBlob(X)]])],
  [
    'an id of zeros',
    (target) => rootWith(target, [['100644', 'z', '0'.repeat(40)]]),
    (target) => rootWith(target, [['100644', 'z', idOfBlob(X)]]),
  ],
];

const hostile = HOSTILE.map(
  ([name, make, honest]): Case => ({
    row: 38,
    name,
    attempt: `the change’s tree holds ${name}`,
    expected: 'refused in the cage, before there is any ref',
    async run(target) {
      const parts = make(target);
      const bundle = bundled(target, parts);
      const passed = await target.publish(bundle, parts.tree);
      const control = honest === undefined ? taken(target, bundle) : await passes(target, honest(target));
      return { ...notPublished(passed, /hostile_object|objects_unreadable/), control };
    },
  }),
);

export const CASES: readonly Case[] = hostile;
