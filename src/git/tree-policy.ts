import picomatch from 'picomatch';
import type { FileFacts } from './changed-files.ts';
import type { Finding } from './open-change.ts';

export interface ChangeLimits {
  readonly files: number;
  /** Sum of the new contents. */
  readonly bytes: number;
  readonly blobBytes: number;
}

/** What keeps this change from being published, file by file and in all. */
export function findingsIn(files: readonly FileFacts[], limits: ChangeLimits, protectedPaths: readonly string[]): Finding[] {
  const isProtected = protection(protectedPaths);
  const each = files.flatMap((file) => [
    ...spelling(file),
    ...mode(file),
    ...link(file),
    ...modules(file),
    ...size(file, limits),
    ...isProtected(file),
  ]);
  return [...total(files, limits), ...each];
}

/** What a reviewer should see, without keeping the change from being published. */
export function notesOn(files: readonly FileFacts[]): Finding[] {
  return files
    .filter((file) => file.mode === '100755' && file.oldMode !== '100755')
    .map((file) => ({ rule: 'executable', path: file.path, detail: 'The file becomes executable.' }));
}

const finding = (rule: string, file: FileFacts, detail: string): Finding[] => [{ rule, path: file.path, detail }];

/** Control and direction characters make a path look like another one wherever it is shown. */
function spelling(file: FileFacts): Finding[] {
  if (!file.readable) return finding('path_unreadable', file, 'The path is not UTF-8.');
  const deceptive = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/u.test(file.path);
  return deceptive ? finding('path_unreadable', file, 'The path holds control or direction characters.') : [];
}

function mode(file: FileFacts): Finding[] {
  if (file.mode === '160000') return finding('submodule', file, 'A submodule is added or moved.');
  const usual = ['000000', '100644', '100755', '120000'].includes(file.mode) || file.mode === file.oldMode;
  return usual ? [] : finding('mode', file, `The mode is ${file.mode}.`);
}

/**
 * A link may go up at its beginning only, and not above the tree: `..` behind a name could follow another link first.
 */
function link(file: FileFacts): Finding[] {
  if (file.mode !== '120000') return [];
  const parts = file.target?.split('/').filter((part) => part !== '' && part !== '.') ?? null;
  const up = parts?.findIndex((part) => part !== '..') ?? 0;
  const climbs = parts === null ? 0 : up === -1 ? parts.length : up;
  const depth = file.path.split('/').length - 1;
  const outside =
    parts === null ||
    file.target === '' ||
    file.target?.startsWith('/') === true ||
    file.target?.includes('\0') === true ||
    climbs > depth ||
    parts.slice(climbs).includes('..') ||
    parts.some((part) => part.toLowerCase() === '.git');
  return outside ? finding('symlink', file, 'The link points out of the tree, into .git or nowhere that can be told.') : [];
}

function modules(file: FileFacts): Finding[] {
  return file.path.toLowerCase() === '.gitmodules' ? finding('gitmodules', file, 'Submodule definitions change.') : [];
}

function size(file: FileFacts, limits: ChangeLimits): Finding[] {
  return file.size > limits.blobBytes
    ? finding('file_too_large', file, `${file.size} bytes, the limit is ${limits.blobBytes}.`)
    : [];
}

function total(files: readonly FileFacts[], limits: ChangeLimits): Finding[] {
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  return bytes > limits.bytes
    ? [{ rule: 'change_too_large', path: '', detail: `${bytes} bytes, the limit is ${limits.bytes}.` }]
    : [];
}

/** The finding for a change with more files than the limit; they are not looked at one by one. */
export const tooManyFiles = (limit: number): Finding => ({
  rule: 'too_many_files',
  path: '',
  detail: `More than ${limit} files change.`,
});

/**
 * Globs match whatever the letters' case, because some file systems do not tell it, and a link (or a file) put where a
 * protected directory stands, or would stand, counts as that directory.
 */
function protection(globs: readonly string[]): (file: FileFacts) => Finding[] {
  const matchers = globs.map((glob) => {
    const fixed = picomatch.scan(glob).base.toLowerCase();
    return { glob, matches: picomatch(glob, { dot: true, nocase: true }), fixed };
  });
  return (file) => {
    const above = `${file.path.toLowerCase()}/`;
    const hit = matchers.find(({ matches, fixed }) => matches(file.path) || `${fixed}/`.startsWith(above));
    return hit === undefined ? [] : finding('protected_path', file, `Protected by ${hit.glob}.`);
  };
}
