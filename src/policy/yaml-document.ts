import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isPair,
  isScalar,
  LineCounter,
  type Node,
  parseDocument,
  visit,
} from 'yaml';
import { z } from 'zod';
import { CoatcheckError } from '../errors.ts';
import { type Allowed, allowedPart, allowedText } from './allowed.ts';

/** Longer configuration is refused. Characters. */
export const CONFIGURATION_LIMIT = 64 * 1024;
const SHOWN_PROBLEMS = 20;

type Path = readonly PropertyKey[];
interface Problem {
  readonly at: number;
  readonly text: string;
}

/** A value read from YAML, and where in its file each part of it stands. */
export interface Located<T> {
  readonly value: T;
  /** Line of the node at a path (the nearest one that exists), counted from 1. */
  readonly lineOf: (path: Path) => number;
}

/**
 * Reads YAML strictly against a schema: YAML 1.2 core, one document, no duplicate keys, no anchors, no tags.
 * @throws CoatcheckError `configuration_invalid` with every problem at once: file:line:column, what is wrong, what is allowed.
 */
export function readYaml<S extends z.ZodType>(text: string, file: string, schema: S): Located<z.output<S>> {
  const lines = new LineCounter();
  const fail = (problems: readonly Problem[]): never => {
    const shown = [...problems].sort((a, b) => a.at - b.at).slice(0, SHOWN_PROBLEMS);
    const texts = shown.map(({ at, text }) => {
      const { line, col } = lines.linePos(at);
      return `${file}:${Math.max(line, 1)}:${Math.max(col, 1)}: ${text}`;
    });
    if (problems.length > shown.length) texts.push(`… and ${problems.length - shown.length} more`);
    throw new CoatcheckError('configuration_invalid', texts.join('\n'), `Correct ${file} and start again.`);
  };
  if (text.length > CONFIGURATION_LIMIT) fail([{ at: 0, text: `longer than ${CONFIGURATION_LIMIT} characters` }]);

  const document = parse(text, lines, fail);
  const value: unknown = document.toJS({ maxAliasCount: 0 }) ?? {};
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const allowed = described(schema);
    fail(parsed.error.issues.flatMap((issue) => explain(issue, document, (path) => allowedPart(allowed, path, value))));
    throw parsed.error;
  }
  return { value: parsed.data, lineOf: (path) => Math.max(lines.linePos(offsetOf(document, path)).line, 1) };
}

const descriptions = new WeakMap<z.ZodType, unknown>();

/** What a schema allows, as JSON Schema. */
function described(schema: z.ZodType): unknown {
  const known = descriptions.get(schema) ?? z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  descriptions.set(schema, known);
  return known;
}

function parse(text: string, lines: LineCounter, fail: (problems: readonly Problem[]) => never): Document {
  let document: Document;
  try {
    document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      logLevel: 'error',
      schema: 'core',
      version: '1.2',
    });
  } catch (thrown) {
    if (thrown instanceof RangeError) return fail([{ at: 0, text: 'nested too deeply' }]);
    throw thrown;
  }
  const problems: Problem[] = [...document.errors, ...document.warnings].map((e) => ({ at: e.pos[0], text: e.message }));
  const refuse = (node: Node, what: string): void => {
    problems.push({ at: node.range?.[0] ?? 0, text: `${what}; write the value out` });
  };
  visit(document, {
    Node(_, node) {
      if (isAlias(node)) refuse(node, 'aliases are not allowed');
      else if (node.anchor) refuse(node, 'anchors are not allowed');
      else if (node.tag !== undefined) refuse(node, 'tags are not allowed');
    },
    Pair(_, pair) {
      if (!isScalar(pair.key) || typeof pair.key.value !== 'string') {
        problems.push({ at: startOf(pair.key) ?? 0, text: 'keys must be plain words' });
      } else if (pair.key.value === '__proto__') {
        problems.push({ at: startOf(pair.key) ?? 0, text: 'unknown key "__proto__"' });
      }
    },
  });
  if (problems.length > 0) fail(problems);
  return document;
}

function explain(issue: z.core.$ZodIssue, document: Document, allowedAt: (path: Path) => Allowed): Problem[] {
  const where = issue.path.length > 0 ? `"${issue.path.map(String).join('.')}": ` : '';
  const at = offsetOf(document, issue.path);
  const here = allowedAt(issue.path);
  if (issue.code === 'unrecognized_keys') {
    const keys = Object.keys(here.properties ?? {}).join(', ');
    const inside = issue.path.length > 0 ? ` in "${issue.path.map(String).join('.')}"` : '';
    return issue.keys.map((key) => ({
      at: keyOffset(document, issue.path, key),
      text: `unknown key "${key}"${inside}; allowed: ${keys || 'none'}`,
    }));
  }
  const allowed = allowedText(here);
  const wrong = wrongWith(issue);
  return [{ at, text: `${where}${wrong}${allowed ? `; allowed: ${allowed}` : ''}` }];
}

const startOf = (node: unknown): number | undefined =>
  isScalar(node) || isCollection(node) || isAlias(node) ? node.range?.[0] : undefined;

/** What is wrong, without what is allowed. */
function wrongWith(issue: z.core.$ZodIssue): string {
  if (/received undefined$/.test(issue.message)) return 'is missing';
  if (issue.code === 'invalid_union' && issue.discriminator !== undefined) return 'is none of these';
  return issue.message.replace(/^Invalid (?:input|option): /, '');
}

/** Where the node at a path starts; where it is missing, the nearest node that holds its place. */
function offsetOf(document: Document, path: Path): number {
  for (let length = path.length; length > 0; length--) {
    const start = startOf(document.getIn(path.slice(0, length), true));
    if (start !== undefined) return start;
  }
  return startOf(document.contents) ?? 0;
}

function keyOffset(document: Document, path: Path, key: string): number {
  const map = path.length === 0 ? document.contents : document.getIn(path, true);
  const pair = isMap(map)
    ? map.items.find((item) => isPair(item) && isScalar(item.key) && String(item.key.value) === key)
    : undefined;
  return startOf(pair?.key) ?? offsetOf(document, path);
}
