/** What follows when refs have moved, by a push or through the API: events, and pull requests that follow their head. */
import type { Context } from './call.ts';
import type { Account, Repository } from './entities.ts';
import { git, refsOf } from './git-store.ts';
import { closeIssue } from './issues.ts';
import { synchronize } from './pulls.ts';
import { pageOf, type Shape } from './represent.ts';

const NONE = '0'.repeat(40);

/** Compares the refs with what they were and announces the differences. */
export async function refsChanged(
  context: Context,
  repository: Repository,
  by: Account,
  before: ReadonlyMap<string, string>,
): Promise<void> {
  const { world } = context;
  const after = await refsOf(world.directory, repository.directory);
  world.touch();
  for (const ref of new Set([...before.keys(), ...after.keys()])) {
    const from = before.get(ref) ?? NONE;
    const to = after.get(ref) ?? NONE;
    if (from === to || ref.startsWith('refs/pull/')) continue;
    if (/^refs\/(heads|tags)\//.test(ref)) await announcePush(context, repository, by, ref, from, to);
    if (ref.startsWith('refs/heads/')) await moveHeads(context, repository, by, ref.slice('refs/heads/'.length), from, to);
  }
}

async function moveHeads(
  context: Context,
  repository: Repository,
  by: Account,
  branch: string,
  from: string,
  to: string,
): Promise<void> {
  const open = context.world.issues.filter(
    (issue) => issue.repository === repository && issue.state === 'open' && issue.pull?.headRef === branch,
  );
  for (const issue of open) {
    if (to === NONE) await closeIssue(context, issue, by);
    else await synchronize(context, issue, by, from, to);
  }
}

async function announcePush(
  context: Context,
  repository: Repository,
  by: Account,
  ref: string,
  from: string,
  to: string,
): Promise<void> {
  const { world, deliveries } = context;
  const range = from === NONE ? [to, '--not', `--exclude=${ref}`, '--all'] : [`${from}..${to}`];
  const ids = to === NONE ? [] : await lines(context, repository, ['rev-list', '--reverse', '--max-count=20', ...range]);
  const commits = await Promise.all(ids.map((id) => pushedCommit(context, repository, id)));
  const head = to === NONE ? null : await pushedCommit(context, repository, to);
  const email = `${by.id}+${by.login}@users.noreply.forge.test`;
  deliveries.emit({
    event: 'push',
    action: null,
    sender: by,
    repository,
    payload: {
      ref,
      before: from,
      after: to,
      base_ref: null,
      created: from === NONE,
      deleted: to === NONE,
      forced: false,
      compare: `${pageOf(world, repository)}/compare/${from.slice(0, 12)}...${to.slice(0, 12)}`,
      commits,
      head_commit: head,
      pusher: { name: by.login, email },
    },
  });
}

async function lines({ world }: Context, repository: Repository, args: readonly string[]): Promise<string[]> {
  return (await git(world.directory, repository.directory, args)).toString().split('\n').filter(Boolean);
}

async function pushedCommit(context: Context, repository: Repository, id: string): Promise<Shape> {
  const { world } = context;
  const shown = (
    await git(world.directory, repository.directory, ['log', '-1', '--format=%T%x00%an%x00%ae%x00%at%x00%B', id])
  ).toString();
  const [tree = '', name = '', email = '', at = '0', message = ''] = shown.split('\0');
  const changes = await lines(context, repository, [
    'diff-tree',
    '--root',
    '-r',
    '--no-commit-id',
    '--name-status',
    '--no-renames',
    id,
  ]);
  const paths = (kind: string) => changes.filter((row) => row.startsWith(kind)).map((row) => row.slice(2));
  return {
    id,
    tree_id: tree,
    distinct: true,
    message: message.trimEnd(),
    timestamp: world.timestamp(Number(at) * 1000),
    url: `${pageOf(world, repository)}/commit/${id}`,
    author: { name, email },
    committer: { name, email },
    added: paths('A'),
    removed: paths('D'),
    modified: paths('M'),
  };
}
