import { CoatcheckError } from '../errors.ts';
import { ObjectId } from '../task/task.ts';
import { gitEnvironment } from './environment.ts';
import type { Quarantine } from './quarantine.ts';
import { git } from './run-git.ts';

export interface Identity {
  readonly name: string;
  readonly email: string;
}

export interface CommitOptions {
  /** The verified tree; must have been found clean in this quarantine. */
  readonly tree: string;
  readonly parent: string;
  readonly author: Identity;
  readonly committer: Identity;
  /** The whole message, trailers included; taken as it is. */
  readonly message: string;
  readonly date: Date;
  readonly signal: AbortSignal;
}

/**
 * Makes the commit that is published: the server's identity, the pinned parent, exactly the verified tree. The same
 * options give the same id, so that doing it twice is doing it once.
 * @throws CoatcheckError `identity_invalid`; `git_failed` when the tree is not in the quarantine.
 */
export async function makeCommit(quarantine: Quarantine, options: CommitOptions): Promise<string> {
  const date = `@${Math.floor(options.date.getTime() / 1000)} +0000`;
  for (const text of [options.author.name, options.author.email, options.committer.name, options.committer.email])
    checkIdentity(text);
  if (options.message.includes('\0')) throw invalid('The commit message holds a NUL.');
  const sha = await git({
    args: [
      `--git-dir=${quarantine.repository}`,
      'commit-tree',
      '-p',
      ObjectId.parse(options.parent),
      '-F',
      '-',
      ObjectId.parse(options.tree),
    ],
    env: gitEnvironment({
      variables: {
        GIT_AUTHOR_NAME: options.author.name,
        GIT_AUTHOR_EMAIL: options.author.email,
        GIT_AUTHOR_DATE: date,
        GIT_COMMITTER_NAME: options.committer.name,
        GIT_COMMITTER_EMAIL: options.committer.email,
        GIT_COMMITTER_DATE: date,
      },
    }),
    stdin: Buffer.from(options.message),
    timeoutMs: 30_000,
    signal: options.signal,
  });
  return ObjectId.parse(sha.trim());
}

/** git would silently take these characters out. */
function checkIdentity(text: string): void {
  if (text.trim() === '' || /[<>\p{Cc}]/u.test(text))
    throw invalid(`'${JSON.stringify(text)}' cannot be a name or address in a commit.`);
}

const invalid = (what: string): CoatcheckError =>
  new CoatcheckError('identity_invalid', what, 'Use plain text without <, > and control characters.');
