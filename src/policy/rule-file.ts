import { Lexer, type Token, type Tokens } from 'marked';
import type { DeclaredCommand } from '../task/verification.ts';
import { kindOf } from './keywords.ts';

/** The rule file is the first of these in the root of the base tree. */
export const RULE_FILES = ['tembo.md', 'AGENTS.md', 'CLAUDE.md'] as const;

/** Longer files are read up to here. Characters. */
export const RULE_FILE_LIMIT = 128 * 1024;
const COMMAND_LIMIT = 4096;
const COMMANDS_LIMIT = 20;
const NOT_RECOGNISED_LIMIT = 50;
const SHOWN = 200;

/** A line of the commands section that is not run, and why. */
export interface NotRecognised {
  readonly line: number;
  readonly text: string;
  readonly why: string;
}

export interface RuleFile {
  readonly commands: DeclaredCommand[];
  readonly notRecognised: NotRecognised[];
}

/** A heading opens the commands section when it says "command(s)", or names building and testing together. */
const SECTION = /\bcommands?\b|\bbuild(?:ing)?\b.*\btest(?:s|ing)?\b|\btest(?:s|ing)?\b.*\bbuild(?:ing)?\b/i;
const BULLET = /^[ \t]*(?:[*+-]|\d{1,9}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?/;
const DECLARATION = /^(`+)(?!`)(.+?)(?<!`)\1(?!`)[ \t]*(?:(?:[-–—:]+|&mdash;|&ndash;)[ \t]*(.*))?$/u;
/** `<file>`, `[path]`-like gaps: a template for people, not a command. */
const GAP = /<[a-z][\w .-]*>|\bpath\/to\//i;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these characters are what must not be in a command
const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff]/u;

/** One line of a list or code block in the commands section, with its line number in the file. */
interface Line {
  readonly line: number;
  readonly text: string;
  readonly listed: boolean;
}

/**
 * Reads the commands that a rule file declares: in each section whose heading matches {@link SECTION}, list
 * items of the form `` - `cmd` - meaning ``. What cannot be read is not run and comes back in `notRecognised`.
 * Total: any text gives a result. Format and keyword table: docs/rule-file.md.
 */
export function readRuleFile(path: string, text: string): RuleFile {
  const commands: DeclaredCommand[] = [];
  const notRecognised: NotRecognised[] = [];
  const refuse = (line: Line, why: string): void => {
    if (notRecognised.length < NOT_RECOGNISED_LIMIT) notRecognised.push({ line: line.line, text: shorten(line.text), why });
  };
  let lines: Line[];
  try {
    lines = sectionLines(text.slice(0, RULE_FILE_LIMIT));
  } catch (thrown) {
    // The lexer recurses on nested quotes and lists; thousands of levels are nobody's rule file.
    if (!(thrown instanceof RangeError)) throw thrown;
    refuse({ line: 1, text: path, listed: false }, 'the file is nested too deeply to be read');
    return { commands, notRecognised };
  }
  for (const line of lines) {
    const read = line.listed ? readLine(line.text) : { why: 'only list items declare commands' };
    if ('why' in read) refuse(line, read.why);
    else if (commands.length >= COMMANDS_LIMIT) refuse(line, `more than ${COMMANDS_LIMIT} commands`);
    else commands.push({ ...read, source: { file: path, line: line.line } });
  }
  if (text.length > RULE_FILE_LIMIT) {
    refuse({ line: 1, text: path, listed: false }, `only the first ${RULE_FILE_LIMIT} characters are read`);
  }
  return { commands, notRecognised };
}

function readLine(text: string): Pick<DeclaredCommand, 'kind' | 'run' | 'meaning'> | { why: string } {
  const found = DECLARATION.exec(text);
  const run = found?.[2]?.trim();
  if (!run) return { why: 'not of the form `command` - meaning' };
  if (CONTROL.test(run)) return { why: 'control or invisible characters in the command' };
  if (run.length > COMMAND_LIMIT) return { why: `longer than ${COMMAND_LIMIT} characters` };
  if (GAP.test(run)) return { why: 'the command has a gap to be filled in' };
  const meaning = (found?.[3] ?? '').trim();
  const kind = kindOf(meaning === '' ? run : meaning);
  if (kind === null) return { why: 'no keyword of install, build, test or lint' };
  if (kind === 'never') return { why: 'would not end by itself, change the tree, or reach outside' };
  return { kind, run, meaning: meaning.slice(0, 500) };
}

/** The list items and code lines of all commands sections, in order. */
function sectionLines(text: string): Line[] {
  const lines: Line[] = [];
  let line = 1;
  let depth = 0; // level of the heading whose section is being read; 0 outside
  // Blocks alone: inline tokens are not needed, and their rules are the slow ones on hostile text.
  for (const token of new Lexer().blockTokens(text.replace(/\r\n?/g, '\n'), [])) {
    if (token.type === 'heading' && isHeading(token)) {
      if (depth === 0 || token.depth <= depth) depth = SECTION.test(token.text) ? token.depth : 0;
    } else if (depth > 0 && (token.type === 'list' || token.type === 'code')) {
      lines.push(...linesOf(token, line));
    }
    line += newlines(token.raw);
  }
  return lines;
}

function linesOf(token: Token, first: number): Line[] {
  const lines: Line[] = [];
  for (const [index, raw] of token.raw.split('\n').entries()) {
    const bullet = token.type === 'list' ? BULLET.exec(raw)?.[0] : undefined;
    if (bullet !== undefined) lines.push({ line: first + index, text: raw.slice(bullet.length).trim(), listed: true });
    else if (token.type === 'code' && raw.trim() !== '' && !/^\s*(?:`{3}|~{3})/.test(raw)) {
      lines.push({ line: first + index, text: raw.trim(), listed: false });
    }
  }
  return lines;
}

const isHeading = (token: Token): token is Tokens.Heading => token.type === 'heading' && 'depth' in token;
const newlines = (text: string): number => text.split('\n').length - 1;
const shorten = (text: string): string => (text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text);
