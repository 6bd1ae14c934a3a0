import { z } from 'zod';
import { CoatcheckError, errorText } from '../errors.ts';

const Failed = z.looseObject({
  status: z.int(),
  message: z.string(),
  response: z.looseObject({ headers: z.record(z.string(), z.unknown()).optional() }).optional(),
});

/** The HTTP status GitHub answered with; 500 also for no answer at all; null for what was no request. */
export function statusOf(error: unknown): number | null {
  const failed = Failed.safeParse(error);
  return failed.success ? failed.data.status : null;
}

/** Whether a request may have had its effect although it failed: the answer is lost, or GitHub broke on the way. */
export const maybeApplied = (error: unknown): boolean => (statusOf(error) ?? 0) >= 500;

const NEXT: Readonly<Record<string, string>> = {
  github_unauthorized: 'Check the App id and its private key, and that this machine’s clock is right.',
  github_forbidden: 'Check on the installation’s page that the permissions of app.yml are granted.',
  github_not_found: 'Check that the repository still exists and that the App is installed on it.',
  github_rate_limited: 'GitHub’s limit is reached; try again later.',
  github_refused: 'GitHub’s message says what it does not accept.',
  github_unavailable: 'GitHub or the way to it is disturbed; try again later.',
};

function codeOf(error: z.infer<typeof Failed>): string {
  if (error.status === 401) return 'github_unauthorized';
  const spent = error.response?.headers?.['x-ratelimit-remaining'] === '0' || /secondary rate/i.test(error.message);
  if (error.status === 429 || (error.status === 403 && spent)) return 'github_rate_limited';
  if (error.status === 403) return 'github_forbidden';
  if (error.status === 404 || error.status === 410) return 'github_not_found';
  return error.status >= 500 ? 'github_unavailable' : 'github_refused';
}

/**
 * What GitHub answered, as an error for a person. Codes: `github_unauthorized`, `github_forbidden`, `github_not_found`,
 * `github_rate_limited`, `github_refused`, `github_unavailable`. Holds no header and no token.
 */
export function githubError(doing: string, error: unknown): CoatcheckError {
  if (error instanceof CoatcheckError) return error;
  const failed = Failed.safeParse(error);
  if (!failed.success) {
    return new CoatcheckError('github_unavailable', `${doing} failed: ${errorText(error)}.`, NEXT['github_unavailable'] ?? '');
  }
  const code = codeOf(failed.data);
  const message = failed.data.message.replace(/\bgh[a-z]_[\w.-]+|\bgithub_pat_\w+|\beyJ[\w.-]+/g, '[token]').slice(0, 500);
  return new CoatcheckError(code, `${doing} failed: GitHub answered ${failed.data.status}: ${message}`, NEXT[code] ?? '');
}

/** Runs one call to GitHub: gives up when the caller does, and throws nothing but `githubError` or the caller's reason. */
export async function call<T>(doing: string, signal: AbortSignal | undefined, run: () => Promise<T>): Promise<T> {
  signal?.throwIfAborted();
  const { promise: given, reject } = Promise.withResolvers<never>();
  const giveUp = (): void => reject(signal?.reason);
  signal?.addEventListener('abort', giveUp, { once: true });
  try {
    return await Promise.race([run(), given]);
  } catch (error) {
    signal?.throwIfAborted();
    throw githubError(doing, error);
  } finally {
    signal?.removeEventListener('abort', giveUp);
  }
}
