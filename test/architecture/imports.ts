import { readFileSync } from 'node:fs';
import { join, normalize, relative } from 'node:path';
import { parseSync } from 'oxc-parser';
import { MAY_USE, ONLY_IN, OUTSIDE, VOCABULARY } from './rules.ts';

/** Every module that a source file names: imports of values and of types, re-exports, dynamic imports of a literal. */
export function importsOf(file: string, source: string): string[] {
  const { module, errors } = parseSync(file, source);
  if (errors.length > 0) throw new Error(`${file} cannot be parsed: ${errors[0]?.message}`);
  const named = module.staticImports.map((one) => one.moduleRequest.value);
  const reexported = module.staticExports.flatMap(({ entries }) =>
    entries.flatMap((entry) => (entry.moduleRequest ? [entry.moduleRequest.value] : [])),
  );
  const dynamic = module.dynamicImports.flatMap(({ moduleRequest }) => {
    const text = source.slice(moduleRequest.start, moduleRequest.end);
    return /^(['"`]).*\1$/s.test(text) ? [text.slice(1, -1)] : [];
  });
  return [...named, ...reexported, ...dynamic];
}

/** The room of a path below src/: its first part. */
const roomOf = (path: string): string => path.split('/')[0] ?? path;

/** What is wrong with one file's import; null when it is allowed. Paths are relative to src/. */
export function offence(file: string, specifier: string): string | null {
  const room = roomOf(file);
  if (!specifier.startsWith('.')) {
    const owner = ONLY_IN.find(({ packages }) => packages.test(specifier));
    return owner === undefined || owner.rooms.includes(room) ? null : `${specifier} belongs to ${owner.rooms.join(', ')} alone`;
  }
  const target = normalize(join(file, '..', specifier));
  if (target.startsWith('..')) {
    const leaving = Object.entries(OUTSIDE).some(([folder, files]) => file.startsWith(`${folder}/`) && files.includes(target));
    return leaving ? null : `${specifier} leaves src/`;
  }
  const allowed = MAY_USE[room];
  if (allowed === undefined) return `the room ${room} is not in the rules`;
  const to = roomOf(target);
  if (to === room || VOCABULARY.includes(to) || allowed.includes(to) || allowed.includes(target)) return null;
  return `${room} may not use ${target}`;
}

/** All offences of the given files, as `file: what is wrong`. */
export function offences(files: readonly string[], src: string): string[] {
  return files.flatMap((file) => {
    const path = relative(src, file);
    return importsOf(file, readFileSync(file, 'utf8')).flatMap((specifier) => {
      const wrong = offence(path, specifier);
      return wrong === null ? [] : [`src/${path}: ${wrong}`];
    });
  });
}
