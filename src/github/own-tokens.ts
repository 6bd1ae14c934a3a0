import type { Repository } from './repository.ts';
import type { MintedToken, TokenPermissions, Tokens } from './tokens.ts';

/** What the control plane's own calls need; it pushes with tokens that are made for one push. */
const OWN: TokenPermissions = { metadata: 'read', contents: 'read', issues: 'write', pull_requests: 'write', checks: 'write' };
/** A token that ends within this time is not used any more. */
const MARGIN_MS = 5 * 60_000;

export interface OwnTokens {
  /** A token for the control plane's own calls on one repository; never handed out. `refused`: GitHub did not take the last one. */
  of: (installation: number, repository: Repository, refused: boolean) => Promise<string>;
  /** Revokes all that are live. */
  close: () => Promise<void>;
}

export function keepOwnTokens(tokens: Tokens): OwnTokens {
  const kept = new Map<string, Promise<MintedToken>>();
  const live = new Map<string, MintedToken>();

  async function mint(installation: number, repository: Repository): Promise<MintedToken> {
    const minted = await tokens.mint(installation, { repositoryId: repository.id, permissions: OWN });
    live.set(minted.id, minted);
    return minted;
  }

  return {
    async of(installation, repository, refused) {
      const key = `${installation}/${repository.id}`;
      const present = await kept.get(key)?.catch(() => null);
      if (present != null && !refused && Date.parse(present.expiresAt) - Date.now() > MARGIN_MS) return present.token;
      // Another caller may have renewed it while this one waited.
      const renewed = await kept.get(key)?.catch(() => null);
      if (renewed != null && renewed.id !== present?.id) return renewed.token;
      if (present != null) live.delete(present.id);
      const minting = mint(installation, repository);
      kept.set(key, minting);
      return (await minting).token;
    },

    async close() {
      await Promise.allSettled(kept.values());
      kept.clear();
      await Promise.allSettled(Array.from(live.values(), ({ token }) => tokens.revoke(token, AbortSignal.timeout(5000))));
      live.clear();
    },
  };
}
