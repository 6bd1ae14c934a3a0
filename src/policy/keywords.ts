import type { CommandKind } from '../task/verification.ts';

/** What a meaning must contain to be read as a kind of command; `never` wins over all others. */
export type KeywordRow = { readonly kind: CommandKind | 'never'; readonly keywords: readonly string[] };

/**
 * The published keyword table: docs/rule-file.md shows the same rows, and a test keeps both equal.
 * Keywords are matched as whole words, without regard to case; the first one in the text decides.
 * `never` comes first: such a command would not end by itself, would change the tree or reach outside.
 */
export const KEYWORDS: readonly KeywordRow[] = [
  {
    kind: 'never',
    keywords: [
      'watch',
      'serve',
      'server',
      'start',
      'deploy',
      'publish',
      'release',
      'fix',
      'autofix',
      'update',
      'upgrade',
      'interactive',
      'single',
    ],
  },
  { kind: 'install', keywords: ['install', 'installs', 'setup', 'set up', 'dependencies', 'bootstrap'] },
  { kind: 'build', keywords: ['build', 'builds', 'compile', 'compiles', 'bundle'] },
  { kind: 'test', keywords: ['test', 'tests', 'testing', 'spec', 'specs', 'verify'] },
  {
    kind: 'lint',
    keywords: [
      'lint',
      'lints',
      'linter',
      'format',
      'formatting',
      'style',
      'type check',
      'type-check',
      'typecheck',
      'types',
      'static analysis',
    ],
  },
];

const quote = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll(' ', '\\s+');
const pattern = (row: KeywordRow): RegExp =>
  new RegExp(`(?<![\\p{L}\\p{N}])(?:${row.keywords.map(quote).join('|')})(?![\\p{L}\\p{N}])`, 'iu');
const PATTERNS = KEYWORDS.map((row) => ({ kind: row.kind, pattern: pattern(row) }));

/** The kind of the first keyword in a text, `never` when any of its keywords occurs, null when there is none. */
export function kindOf(text: string): CommandKind | 'never' | null {
  let first: { kind: CommandKind; at: number } | null = null;
  for (const { kind, pattern } of PATTERNS) {
    const at = text.search(pattern);
    if (at < 0) continue;
    if (kind === 'never') return 'never';
    if (first === null || at < first.at) first = { kind, at };
  }
  return first?.kind ?? null;
}
