import { CoatcheckError } from '../errors.ts';

/** The lock file of Go's modules, in the root of the repository. */
export const GO_SUM = 'go.sum';

/** Paths of one task in all, in characters: a door holds its rules in memory and looks through them for each request. */
const PATHS_LIMIT = 2 * 1024 * 1024;
const SHOWN = 5;

/** `module version[/go.mod] h1:hash`, as the go command writes it: https://go.dev/ref/mod#go-sum-files */
const LINE = /^(\S{1,255}) (v\S{1,128}?)(\/go\.mod)? h1:[A-Za-z0-9+/]{43}=$/;
/** https://go.dev/ref/mod#go-mod-file-ident: elements of these characters, none that begins or ends with a dot. */
const ELEMENT = /^(?!\.)[A-Za-z0-9._~-]+(?<!\.)$/;
const HOST = /^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/;
const VERSION = /^v\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/;

/**
 * The paths of a Go module proxy that serve exactly what a go.sum names: `.info` and `.mod` of each version in it, and
 * `.zip` of those whose content it names (https://go.dev/ref/mod#goproxy-protocol). Nothing that lists or looks up: the
 * public proxy fetches what it is asked for from the origin that a module's path names.
 *
 * Everything behind these paths has its hash in the file, and for that the go command asks no checksum database.
 * @throws CoatcheckError `configuration_invalid` with file and line for what is not a line of a go.sum, or for too much.
 */
export function goModulePaths(text: string): string[] {
  const paths = new Set<string>();
  const wrong: string[] = [];
  let characters = 0;
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '') continue;
    const entry = readLine(line);
    if (entry === null) wrong.push(`${GO_SUM}:${index + 1}: not a line as the go command writes it`);
    else {
      for (const path of pathsOf(entry)) {
        if (!paths.has(path)) characters += path.length;
        paths.add(path);
      }
    }
    if (characters > PATHS_LIMIT || wrong.length >= SHOWN) break;
  }
  if (wrong.length > 0) throw new CoatcheckError('configuration_invalid', wrong.join('\n'), 'Run: go mod tidy');
  if (characters <= PATHS_LIMIT) return [...paths];
  throw new CoatcheckError(
    'configuration_invalid',
    `${GO_SUM}: names more modules than the preset "go" opens.`,
    'Leave "go" out of egress, and have the operator grant a mirror of their own.',
  );
}

interface Entry {
  readonly module: string;
  readonly version: string;
  readonly content: boolean;
}

function readLine(line: string): Entry | null {
  const [, module = '', version = '', manifest] = LINE.exec(line) ?? [];
  const [host = '', ...elements] = module.split('/');
  const known = HOST.test(host) && elements.every((element) => ELEMENT.test(element)) && VERSION.test(version);
  return known ? { module, version, content: manifest === undefined } : null;
}

function pathsOf({ module, version, content }: Entry): string[] {
  const kinds = content ? ['info', 'mod', 'zip'] : ['info', 'mod'];
  const path = `/${escaped(module)}/@v/${escaped(version)}`;
  // The go command writes the escape's "!" as %21, other clients as it is.
  const spellings = path.includes('!') ? [path, path.replaceAll('!', '%21')] : [path];
  return spellings.flatMap((spelling) => kinds.map((kind) => `${spelling}.${kind}`));
}

/** Capitals as `!` and the small letter, for file systems that do not tell them apart. */
const escaped = (text: string): string => text.replace(/[A-Z]/g, (letter) => `!${letter.toLowerCase()}`);
