import { CoatcheckError } from '../errors.ts';
import { ObjectId } from '../task/task.ts';
import { gitEnvironment } from './environment.ts';
import { runGit } from './run-git.ts';

/** How the network is reached; given explicitly because git inherits no environment. */
export interface GitNetwork {
  /** File with the certificate authorities to trust (PEM), or null for the system's. */
  readonly authorities: string | null;
  readonly proxy: string | null;
  readonly noProxy: string | null;
}

export const DIRECT: GitNetwork = { authorities: null, proxy: null, noProxy: null };

/** A repository on GitHub and the right to use it. */
export interface Remote {
  /** http or https, without credentials in it. */
  readonly url: string;
  /** An installation token for this repository. */
  readonly token: string;
  readonly network: GitNetwork;
}

/** @throws CoatcheckError `remote_invalid` for a URL that is not plain http(s) or carries credentials. */
export function checkRemote(remote: Remote): void {
  const url = URL.canParse(remote.url) ? new URL(remote.url) : null;
  const plain = url !== null && ['http:', 'https:'].includes(url.protocol) && url.username === '' && url.password === '';
  if (plain && !/[\s\p{Cc}]/u.test(remote.url + remote.token) && remote.token !== '') return;
  throw new CoatcheckError(
    'remote_invalid',
    'The repository address is not plain http(s) or has no token.',
    'See the API base URL.',
  );
}

/** What must not be seen in any text that git prints. */
export function secretsOf({ token, network }: Remote): string[] {
  const proxy = network.proxy !== null && URL.canParse(network.proxy) ? decodeURIComponent(new URL(network.proxy).password) : '';
  return [token, proxy];
}

export interface RemoteHeadOptions {
  readonly remote: Remote;
  /** A full name, for example `refs/heads/main`. */
  readonly ref: string;
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
}

/**
 * What a ref points at on the remote right now; null when it is not there.
 * @throws CoatcheckError `repository_unreadable` with git's reason.
 */
export async function remoteHead(options: RemoteHeadOptions): Promise<string | null> {
  const { remote, ref } = options;
  checkRemote(remote);
  const result = await runGit({
    args: ['ls-remote', '--refs', '--', remote.url, ref],
    env: gitEnvironment({ remote, protocols: 'http:https' }),
    secrets: secretsOf(remote),
    timeoutMs: options.timeoutMs ?? 60_000,
    signal: options.signal,
  });
  if (result.code !== 0) throw unreadable(result.reason);
  const line = result.stdout
    .toString('utf8')
    .split('\n')
    .find((one) => one.endsWith(`\t${ref}`));
  return line === undefined ? null : ObjectId.parse(line.split('\t')[0]);
}

/** The error for a repository that git cannot read, with git's own reason. */
export function unreadable(reason: string): CoatcheckError {
  return new CoatcheckError(
    'repository_unreadable',
    `The repository could not be read: ${reason}.`,
    "Check that the App is installed on it with the contents permission, and the host's way to GitHub.",
  );
}
