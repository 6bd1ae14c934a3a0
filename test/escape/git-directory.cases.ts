import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gitAs } from '../git/repositories.ts';
import type { EscapeCase, Observation } from './cases.ts';
import { type Agent, FOREIGN, type GitTarget } from './git-rig.ts';

/** Something laid in `.git`, in the tree or in the environment that runs a program when plain git meets it. */
interface Trap {
  readonly name: string;
  readonly lay: (agent: Agent) => void;
  /** What springs it where nothing guards. */
  readonly springs: string;
  /** What stands in the environment of the process that runs git. */
  readonly environment?: (agent: Agent) => Record<string, string>;
}

const config = (agent: Agent, section: string, key: string): void =>
  agent.configure(`[${section}]\n\t${key} = ${agent.program}\n`);
const attributes = (agent: Agent, text: string): void => agent.write('.git/info/attributes', text);

const TRAPS: readonly Trap[] = [
  {
    name: 'hooks in .git/hooks',
    lay: (agent) => {
      for (const hook of ['pre-commit', 'post-commit', 'post-checkout', 'reference-transaction', 'post-index-change', 'pre-push'])
        agent.write(`.git/hooks/${hook}`, `#!/bin/sh\nexec ${agent.program}\n`, 0o755);
    },
    springs: 'git commit -qam x',
  },
  {
    name: 'core.hooksPath in the tree',
    lay: (agent) => {
      agent.write('tools/pre-commit', `#!/bin/sh\nexec ${agent.program}\n`, 0o755);
      agent.configure('[core]\n\thooksPath = tools\n');
    },
    springs: 'git commit -qam x',
  },
  { name: 'core.fsmonitor', lay: (agent) => config(agent, 'core', 'fsmonitor'), springs: 'git status' },
  {
    name: 'clean filter by .gitattributes',
    lay: (agent) => {
      agent.write('.gitattributes', '*.txt filter=evil\n');
      config(agent, 'filter "evil"', 'clean');
    },
    springs: 'git add -A',
  },
  {
    name: 'smudge filter by info/attributes',
    lay: (agent) => {
      attributes(agent, '* filter=evil\n');
      config(agent, 'filter "evil"', 'smudge');
    },
    springs: 'rm src/b.txt; git checkout -- src/b.txt',
  },
  {
    name: 'long-running filter process',
    lay: (agent) => {
      attributes(agent, '* filter=evil\n');
      config(agent, 'filter "evil"', 'process');
    },
    springs: 'git add -A',
  },
  { name: 'diff.external', lay: (agent) => config(agent, 'diff', 'external'), springs: 'git diff' },
  {
    name: 'diff driver of an attribute',
    lay: (agent) => {
      attributes(agent, '* diff=evil\n');
      config(agent, 'diff "evil"', 'command');
    },
    springs: 'git diff',
  },
  {
    name: 'textconv of an attribute',
    lay: (agent) => {
      attributes(agent, '* diff=evil\n');
      config(agent, 'diff "evil"', 'textconv');
    },
    springs: 'git diff',
  },
  {
    name: 'merge driver of an attribute',
    lay: (agent) => {
      attributes(agent, '* merge=evil\n');
      config(agent, 'merge "evil"', 'driver');
    },
    springs:
      'git commit -qam x && git checkout -qb side HEAD~1 && echo s >src/a.txt && git commit -qam y && git merge -q coatcheck',
  },
  {
    name: 'core.sshCommand',
    lay: (agent) => {
      agent.configure(`[core]\n\tsshCommand = "touch ${agent.marker}; false"\n`);
      agent.configure('[remote "other"]\n\turl = ssh://nowhere.invalid/x.git\n');
    },
    springs: 'git fetch other',
  },
  { name: 'core.pager', lay: (agent) => config(agent, 'core', 'pager'), springs: 'script -qec "git log" /dev/null' },
  {
    name: 'credential.helper',
    lay: (agent) => agent.configure(`[credential]\n\thelper = "!${agent.program}"\n`),
    springs: 'printf "protocol=https\\nhost=nowhere.invalid\\n\\n" | GIT_TERMINAL_PROMPT=0 git credential fill',
  },
  { name: 'core.editor', lay: (agent) => config(agent, 'core', 'editor'), springs: 'git commit -qa' },
  {
    name: 'gpg.program with commit.gpgSign',
    lay: (agent) => {
      config(agent, 'gpg', 'program');
      agent.configure('[commit]\n\tgpgSign = true\n');
    },
    springs: 'git commit -qam x',
  },
  {
    name: 'an ext:: transport behind insteadOf',
    lay: (agent) =>
      agent.configure(
        `[protocol "ext"]\n\tallow = always\n[url "ext::touch ${agent.marker} "]\n\tinsteadOf = http://git.coatcheck.internal/\n`,
      ),
    springs: 'git fetch origin',
  },
  {
    name: 'include.path into the tree',
    lay: (agent) => {
      agent.write('docs/style.txt', `[core]\n\tfsmonitor = ${agent.program}\n`);
      agent.configure('[include]\n\tpath = ../docs/style.txt\n');
    },
    springs: 'git status',
  },
  {
    name: 'includeIf on the directory',
    lay: (agent) => {
      agent.write('docs/style.txt', `[core]\n\tfsmonitor = ${agent.program}\n`);
      agent.configure('[includeIf "gitdir:**"]\n\tpath = ../docs/style.txt\n');
    },
    springs: 'git status',
  },
  {
    name: 'a bare repository among the files',
    lay: (agent) => {
      const bare = join(agent.tree, 'fixtures');
      gitAs(agent.tree, ['init', '--quiet', '--bare', bare]);
      mkdirSync(join(bare, 'tree'));
      writeFileSync(
        join(bare, 'config'),
        `[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = tree\n\tfsmonitor = ${agent.program}\n`,
      );
    },
    springs: 'cd fixtures && git status',
  },
  {
    name: 'the configuration of the agent’s home',
    lay: (agent) => writeFileSync(join(agent.home, '.gitconfig'), `[core]\n\tfsmonitor = ${agent.program}\n`),
    springs: 'git status',
  },
  {
    name: 'GIT_* in the environment of the trusted process',
    lay: () => {},
    springs: 'git diff',
    environment: (agent) => ({
      GIT_EXTERNAL_DIFF: agent.program,
      GIT_CONFIG_PARAMETERS: `'core.fsmonitor=${agent.program}'`,
      GIT_SSH_COMMAND: agent.program,
      GIT_ASKPASS: agent.program,
      GIT_PAGER: agent.program,
      GIT_EDITOR: agent.program,
    }),
  },
];

function sprung({ marker }: Agent): boolean {
  const there = existsSync(marker);
  rmSync(marker, { force: true });
  return there;
}

const trapCase = (trap: Trap): EscapeCase<GitTarget> => ({
  row: 37,
  name: trap.name,
  attempt: `the agent leaves ${trap.name} and waits for the host’s git`,
  expected: 'take-out, quarantine, commit and push run nothing of it; the honest change is published',
  async run(target): Promise<Observation> {
    const agent = target.agent();
    trap.lay(agent);
    const environment = trap.environment?.(agent) ?? {};
    sprung(agent);
    const passed = await target.pass(agent, environment);
    const held = !sprung(agent) && passed.published !== null;
    const said = target.unguarded(agent, trap.springs, environment);
    return {
      held,
      seen: passed.published === null ? `not published: ${passed.why}` : `published ${passed.published}`,
      control: { worked: sprung(agent), how: `plain git runs it: ${trap.springs}\n${said.slice(0, 500)}` },
    };
  },
});

/** What makes git read another repository in place of the task's own. */
interface Redirection {
  readonly name: string;
  readonly lay: (agent: Agent) => void;
  /** Prints what is in the other repository where nothing guards. */
  readonly reads: string;
  /** Why the change is not published, where it cannot be; else it is, without the canary. */
  readonly ends?: RegExp;
}

const gitFile = (agent: Agent): string => join(agent.tree, '.git');

const REDIRECTIONS: readonly Redirection[] = [
  {
    name: '.git is a file that names another repository',
    lay: (agent) => {
      rmSync(gitFile(agent), { recursive: true });
      writeFileSync(gitFile(agent), `gitdir: ${agent.foreign}/.git\n`);
    },
    reads: 'git log -p',
    ends: /base commit is gone/,
  },
  {
    name: '.git is a link to another repository',
    lay: (agent) => {
      rmSync(gitFile(agent), { recursive: true });
      execFileSync('ln', ['-s', `${agent.foreign}/.git`, gitFile(agent)]);
    },
    reads: 'git log -p',
    ends: /base commit is gone/,
  },
  {
    name: '.git/commondir names another repository',
    lay: (agent) => {
      writeFileSync(join(gitFile(agent), 'commondir'), `${agent.foreign}/.git\n`);
      writeFileSync(join(gitFile(agent), 'HEAD'), 'ref: refs/heads/main\n');
    },
    reads: 'git log -p',
  },
  {
    name: 'core.worktree names another tree',
    lay: (agent) => agent.configure(`[core]\n\tworktree = ${agent.foreign}\n`),
    reads: 'git add -A >/dev/null 2>&1; git diff --cached',
  },
  {
    name: 'objects/info/alternates names another repository’s objects',
    lay: (agent) => {
      mkdirSync(join(gitFile(agent), 'objects/info'), { recursive: true });
      writeFileSync(join(gitFile(agent), 'objects/info/alternates'), `${agent.foreign}/.git/objects\n`);
      writeFileSync(join(agent.tree, 'src/id.txt'), gitAs(agent.foreign, ['rev-parse', 'HEAD']));
    },
    reads: 'git show "$(cat src/id.txt)"',
  },
];

const redirectionCase = (redirection: Redirection): EscapeCase<GitTarget> => ({
  row: 37,
  name: redirection.name,
  attempt: `${redirection.name}, so that the change would hold what is there`,
  expected: 'nothing of the other repository is in what is published',
  async run(target) {
    const agent = target.agent();
    redirection.lay(agent);
    const read = target.unguarded(agent, redirection.reads);
    const passed = await target.pass(agent);
    const content = passed.published === null ? '' : target.contentOf(passed.published);
    const ended = redirection.ends === undefined ? passed.published !== null : redirection.ends.test(passed.why);
    return {
      held: ended && !content.includes(FOREIGN),
      seen: `${passed.why}; ${content.includes(FOREIGN) ? 'with' : 'without'} the canary`,
      control: { worked: read.includes(FOREIGN), how: `plain git shows it: ${redirection.reads}\n${read.slice(0, 300)}` },
    };
  },
});

/** The last of the ways into another repository: naming its objects without holding them. */
const BORROWED: EscapeCase<GitTarget> = {
  row: 37,
  name: 'a change that names another repository’s objects without holding them',
  attempt: 'the bundle’s tree names a blob that only another repository on the machine has',
  expected: 'refused as incomplete, because nothing but the base stands behind the check',
  async run(target) {
    const { world } = target;
    const agent = target.agent();
    const blob = gitAs(agent.foreign, ['rev-parse', 'HEAD:secret.txt']);
    const tree = world.rawTree([...world.baseEntries, ['100644', 'z', blob]]);
    const commit = gitAs(world.upstream, ['commit-tree', '-m', 'x', '-p', world.base, tree]);
    const packed = execFileSync('git', ['-C', world.upstream, 'pack-objects', '--quiet', '--stdout'], {
      input: `${commit}\n${tree}\n`,
    });
    const head = `# v2 git bundle\n-${world.base} x\n${commit} refs/heads/change\n\n`;
    const passed = await target.publish(Buffer.concat([Buffer.from(head), packed]), tree);
    const at = { GIT_ALTERNATE_OBJECT_DIRECTORIES: `${agent.foreign}/.git/objects` };
    const whole = target.unguarded(agent, `git -C ${world.upstream} show ${tree}:z`, at);
    return {
      held: passed.published === null && /objects_unreadable/.test(passed.why),
      seen: passed.why,
      control: { worked: whole.includes(FOREIGN), how: `with that repository as an alternate: ${whole.trim()}` },
    };
  },
};

export const CASES: readonly EscapeCase<GitTarget>[] = [...TRAPS.map(trapCase), ...REDIRECTIONS.map(redirectionCase), BORROWED];
