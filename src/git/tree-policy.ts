import { pathMatcher } from '../policy/glob.ts';
import { MANIFESTS } from '../policy/manifests.ts';
import { plainPath, protectionOf } from '../policy/protected.ts';
import { ORDINARY_DOT_PATHS } from '../policy/quarantine.ts';
import type { FileFacts } from './changed-files.ts';
import type { Finding } from './open-change.ts';

export interface ChangeLimits {
  readonly files: number;
  /** Sum of the new contents. */
  readonly bytes: number;
}

/** What of the policy is needed to look at files. */
export interface TreePolicy {
  readonly largeFileBytes: number;
  /** Globs, whatever the letters' case, because some file systems do not tell it. */
  readonly protectedPaths: readonly string[];
}

type Look = (file: FileFacts) => Finding[];

/** What there is to say about a change, file by file. What becomes of it is the policy's to say. */
export function findingsIn(files: readonly FileFacts[], policy: TreePolicy): Finding[] {
  const looks = [
    ...[spelling, mode, link, submodule, executable, content],
    ...[largeFile(policy), protectedPath(policy), dotDirectory(), manifest()],
  ];
  return files.flatMap((file) => looks.flatMap((look) => look(file)));
}

const finding = (rule: string, file: FileFacts, detail: string): Finding[] => [{ rule, path: file.path, detail }];

/** What a Linux file system takes: PATH_MAX and NAME_MAX, see path_resolution(7). */
const PATH_BYTES = 4095;
const NAME_BYTES = 255;

/** Control and direction characters make a path look like another one wherever it is shown. */
function spelling(file: FileFacts): Finding[] {
  if (!file.readable) return finding('path_unreadable', file, 'The path is not UTF-8.');
  if (/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/u.test(file.path))
    return finding('path_unreadable', file, 'The path holds control or direction characters.');
  const fits = Buffer.byteLength(file.path) <= PATH_BYTES && file.path.split('/').every(isName);
  return fits ? [] : finding('path_unreadable', file, 'The path is longer than a file system takes.');
}

const isName = (part: string): boolean => Buffer.byteLength(part) <= NAME_BYTES;

function mode(file: FileFacts): Finding[] {
  const usual = ['000000', '100644', '100755', '120000', '160000', file.oldMode].includes(file.mode);
  return usual ? [] : finding('mode', file, `The mode is ${file.mode}.`);
}

function executable(file: FileFacts): Finding[] {
  const becomes = file.mode === '100755' && file.oldMode !== '100755';
  return becomes ? finding('executable', file, 'The file becomes executable.') : [];
}

/**
 * A link may go up at its beginning only, and not above the tree: `..` behind a name could follow another link first.
 */
function link(file: FileFacts): Finding[] {
  if (file.mode !== '120000' || staysInside(file)) return [];
  return finding('symlink', file, 'The link points out of the tree, into .git or nowhere that can be told.');
}

function staysInside({ path, target }: FileFacts): boolean {
  if (target === null || target === '' || target.startsWith('/') || target.includes('\0')) return false;
  const parts = target.split('/').filter((part) => part !== '' && part !== '.');
  const names = parts.findIndex((part) => part !== '..');
  const climbs = names === -1 ? parts.length : names;
  const depth = path.split('/').length - 1;
  return climbs <= depth && !parts.slice(climbs).includes('..') && !parts.some(isGitDirectory);
}

/** `.git`, also as file systems spell it that ignore case or invisible characters or have short names. */
const isGitDirectory = (part: string): boolean => ['.git', 'git~1'].includes(plainPath(part).toLowerCase());

function submodule(file: FileFacts): Finding[] {
  if (file.mode === '160000') return finding('submodule', file, 'A submodule is added or moved.');
  return file.path.toLowerCase() === '.gitmodules' ? finding('submodule', file, 'Submodule definitions change.') : [];
}

/** Whether a file is left out of the scan for secrets: no lines to be found in it, and enough bytes to crowd out all else. */
export const isBulk = ({ binary, size }: FileFacts): boolean => binary && size > BULK_BYTES;
const BULK_BYTES = 1024 * 1024;

function content(file: FileFacts): Finding[] {
  if (!file.binary || file.change === 'deleted') return [];
  const scanned = isBulk(file) ? ', not scanned for secrets' : '';
  return finding('binary', file, `${file.size} bytes that are not text${scanned}.`);
}

const largeFile =
  ({ largeFileBytes: limit }: TreePolicy): Look =>
  (file) =>
    file.size > limit ? finding('large_file', file, `${file.size} bytes, more than ${limit}.`) : [];

function protectedPath({ protectedPaths }: TreePolicy): Look {
  const globOf = protectionOf(protectedPaths);
  return (file) => {
    const glob = globOf(file.path);
    return glob === null ? [] : finding('protected_path', file, `Protected by ${glob}.`);
  };
}

function dotDirectory(): Look {
  const isOrdinary = pathMatcher(ORDINARY_DOT_PATHS);
  return (file) => {
    const dotted = file.path
      .split('/')
      .slice(0, -1)
      .find((part) => part.startsWith('.'));
    return dotted === undefined || isOrdinary(file.path) ? [] : finding('dot_directory', file, `In ${dotted}.`);
  };
}

function manifest(): Look {
  const isManifest = pathMatcher(MANIFESTS);
  return (file) => (isManifest(file.path) ? finding('manifest', file, 'Decides which packages are used.') : []);
}

/** The finding for a change that is larger than its limit in all; null when it is not. */
export function tooLargeInAll(files: readonly FileFacts[], limit: number): Finding | null {
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  return bytes > limit ? { rule: 'change_too_large', path: '', detail: `${bytes} bytes, the limit is ${limit}.` } : null;
}

/** The finding for a change with more files than the limit; they are not looked at one by one. */
export const tooManyFiles = (limit: number): Finding => ({
  rule: 'too_many_files',
  path: '',
  detail: `More than ${limit} files change.`,
});
