import { readPatch } from './added-lines.ts';
import { type FoundSecret, findSecrets, type SecretHit } from './secret-rules.ts';

/** What leaves the cage of a scan: places and names, no secret. */
export interface Scanned {
  readonly hits: readonly SecretHit[];
  /** The diff for people, each found secret replaced. */
  readonly shown: string;
  /** False when the patch ends before its time, or leaves a file's content out. */
  readonly whole: boolean;
}

/** More than these are not listed one by one: they are held by the first. */
const HITS = 200;

/** More than these are not taken out one by one. */
const MASKED = 2000;
const NOT_SHOWN = 'The diff is not shown: it is full of secrets.\n';

/** Shorter parts of a secret of several lines, such as the end of a key, are left: replacing them would black out words. */
const SHORTEST = 6;

/**
 * Finds the secrets that a patch adds, and takes them out of the diff that people are shown. What the patch removes in
 * one place and adds in another was in the base, and is none.
 */
export async function scanPatch(patch: string, shown: string): Promise<Scanned> {
  const { files, removed, whole } = readPatch(patch);
  const found: FoundSecret[] = [];
  for (const file of files) {
    for (const one of await findSecrets(file)) if (!removed.includes(one.secret)) found.push(one);
  }
  const hits = found.slice(0, HITS).map(({ path, line, rule }) => ({ path, line, rule }));
  return { hits, shown: found.length > MASKED ? NOT_SHOWN : masked(shown, found), whole };
}

function masked(text: string, found: readonly FoundSecret[]): string {
  const marks = new Map<string, string>();
  for (const { secret, rule } of found) {
    const parts = secret.split('\n').map((part) => part.trim());
    for (const part of parts.filter(({ length }) => length >= SHORTEST)) marks.set(part, `[secret: ${rule}]`);
  }
  // The longest first: a secret may stand within another.
  const longestFirst = [...marks].sort(([a], [b]) => b.length - a.length);
  return longestFirst.reduce((rest, [part, mark]) => rest.replaceAll(part, mark), text);
}
