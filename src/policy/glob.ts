import picomatch from 'picomatch';
import { z } from 'zod';

const GLOB_LIMIT = 256;

/** A glob over repository paths, with `/` between parts; `**` crosses them. A leading `!` is not allowed: lists only add. */
export const Glob = z
  .string()
  .min(1)
  .max(GLOB_LIMIT)
  .refine((glob) => !glob.startsWith('!'), 'a glob may not start with "!"; lists only add')
  .refine((glob) => !glob.startsWith('/'), 'a glob is relative to the root of the repository: no leading "/"')
  .refine((glob) => !/[()]/.test(glob), 'extended glob groups are not allowed; write one glob for each case')
  .describe('a glob such as src/generated/** (*, **, ?, [a-z], {a,b})');

/** Whether a path of the repository matches one of the globs. Dot files match like others; case does not matter. */
export function pathMatcher(globs: readonly string[]): (path: string) => boolean {
  // A path on a file system that ignores case is the same file under any case: match the wider way.
  // `s`: a line break in a name must not take the name out of a glob's reach.
  const isMatch = picomatch([...globs], { dot: true, flags: 'is', noextglob: true, nonegate: true });
  return (path) => globs.length > 0 && isMatch(path);
}
