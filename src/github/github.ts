import type { Logger } from 'pino';
import { type PolledDelivery, type PollOptions, pollDeliveries } from './deliveries.ts';
import { call } from './failure.ts';
import type { Fetch } from './fetch.ts';
import { bindInstallation, type Installation } from './installation.ts';
import { openOctokits } from './octokit.ts';
import { type OtherRepository, openOther } from './other-repository.ts';
import { keepOwnTokens } from './own-tokens.ts';
import { readSelf, type Self } from './self.ts';
import { type CredentialNote, type MintedToken, openTokens, type TokenScope } from './tokens.ts';

export type { CheckRunRef, Conclusion } from './check-runs.ts';
export type { CommentRef } from './comments.ts';
export type { PolledDelivery, PollOptions } from './deliveries.ts';
export type { Installation } from './installation.ts';
export type { OtherRepository } from './other-repository.ts';
export type { Role } from './permission.ts';
export type { OpenedPullRequest, PullRequest } from './pull-requests.ts';
export type { Self } from './self.ts';
export type { CredentialNote, MintedToken, TokenScope } from './tokens.ts';

/**
 * Everything coatcheck asks of GitHub. What fails throws a CoatcheckError whose code begins with `github_` (see
 * failure.ts). Reads are repeated when GitHub stumbles, waits that it asks for are kept, nothing is made twice.
 */
export interface GitHub {
  /** Who the App is; asked once and remembered. */
  self: (signal?: AbortSignal) => Promise<Self>;
  installation: (id: number, signal?: AbortSignal) => Installation;
  /** A token for one repository, to be handed out; the caller revokes it. */
  mintToken: (installation: number, scope: TokenScope, signal?: AbortSignal) => Promise<MintedToken>;
  /** A repository of the installation's account by its name, for reading; null when the installation does not cover it. */
  openRepository: (
    installation: number,
    at: { owner: string; name: string },
    signal?: AbortSignal,
  ) => Promise<OtherRepository | null>;
  /** True when GitHub does not know the token any more. */
  revokeToken: (token: string, signal?: AbortSignal) => Promise<boolean>;
  pollDeliveries: (options: PollOptions) => AsyncGenerator<PolledDelivery, void, undefined>;
  /** Revokes the tokens made for own calls. */
  close: () => Promise<void>;
}

export interface ConnectOptions {
  appId: number;
  /** PEM. */
  privateKey: string;
  /** Without trailing slash: `https://api.github.com`, or `https://HOST/api/v3` of an Enterprise Server. */
  baseUrl: string;
  log: Logger;
  /** For networks with a proxy or an authority of their own: see fetch.ts. Node's own when not given. */
  fetch?: Fetch;
  /** Told of every token that is made or revoked, those for own calls included; never of the token itself. */
  onCredential?: (note: CredentialNote) => void;
  /** Limit of one request in milliseconds; 30 s when not given. */
  timeoutMs?: number;
  /** What a second that GitHub asks to wait takes, in milliseconds; 1000 but in tests. */
  secondMs?: number;
}

/** Connects as the App; asks GitHub nothing yet. */
export function connectGitHub(options: ConnectOptions): GitHub {
  const { onCredential = () => undefined, timeoutMs = 30_000, secondMs = 1000, fetch = globalThis.fetch } = options;
  const octokits = openOctokits({ ...options, fetch, timeoutMs, secondMs });
  const tokens = openTokens(octokits, onCredential);
  const ownTokens = keepOwnTokens(tokens);
  let known: Promise<Self> | null = null;

  /** Asked once for all who wait for it, whoever of them gives up. */
  function self(signal?: AbortSignal): Promise<Self> {
    const asked = known ?? readSelf(octokits);
    known = asked;
    asked.catch(() => {
      known = null;
    });
    return call('Reading who the App is', signal, () => asked);
  }

  return {
    self,
    installation: (id, signal) => bindInstallation({ octokits, tokens, ownTokens, self, secondMs }, id, signal),
    mintToken: tokens.mint,
    openRepository: (id, at, signal) => openOther({ octokits, tokens, self, secondMs }, id, at, signal),
    revokeToken: tokens.revoke,
    pollDeliveries: (poll) => pollDeliveries(octokits, poll),
    close: ownTokens.close,
  };
}
