import { extname } from 'node:path';
import { lintSource } from '@secretlint/core';
import { rules } from '@secretlint/secretlint-rule-preset-recommend';
import type { AddedLines } from './added-lines.ts';

export interface SecretHit {
  readonly path: string;
  readonly line: number;
  /** The rule's name, never what it found. */
  readonly rule: string;
}

/** A hit with the secret itself: stays in the cage. */
export interface FoundSecret extends SecretHit {
  readonly secret: string;
}

/**
 * Every private key in PEM: the preset knows those only that begin as RSA keys do, or OpenSSH's
 * (https://www.rfc-editor.org/rfc/rfc7468 has the form).
 */
const PRIVATE_KEY =
  /-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:\s{1,4}[A-Za-z-]{1,30}: [^\n]{0,100}){0,4}[A-Za-z0-9+/=\s\\]{40,13800}(?:-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----)?/g;

const RULE = '@secretlint/secretlint-rule-';

/** The id of a key is worth knowing of without the key; the number of an account is no secret. */
const AWS = { options: { enableIDScanRule: true }, allowMessageIds: ['AWSAccountID'] };

/** Without the rule that lets comments in the scanned text switch the scan off: the text is the agent's. */
const CONFIG = {
  rules: rules
    .filter((rule) => rule.meta.id !== `${RULE}filter-comments`)
    .map((rule) => ({ id: rule.meta.id, rule, ...(rule.meta.id === `${RULE}aws` ? AWS : {}) })),
};

/** The secrets in the added lines of one file; each once, whichever rules find it. */
export async function findSecrets({ path, runs }: AddedLines): Promise<FoundSecret[]> {
  const lines = runs.flatMap((run) => [...run.lines, '']);
  const numbers = runs.flatMap((run) => [...run.lines, ''].map((_, i) => run.first + i));
  const content = lines.join('\n');
  const starts = startsOf(lines);
  const found = [...(await byPreset(path, content)), ...privateKeys(content)].sort((a, b) => a.from - b.from || b.to - a.to);
  let end = -1;
  return found.flatMap(({ from, to, rule }) => {
    if (from < end) return [];
    end = to;
    return [{ path, line: numbers[lineAt(starts, from)] ?? 0, rule, secret: content.slice(from, to) }];
  });
}

interface Match {
  readonly from: number;
  readonly to: number;
  readonly rule: string;
}

async function byPreset(path: string, content: string): Promise<Match[]> {
  // A rule for key stores would open the file by its name; what is scanned stands in no file.
  const ext = extname(path) === '.p12' ? '' : extname(path);
  const source = { content, filePath: path, ext, contentType: 'text' as const };
  const { messages } = await lintSource({ source, options: { config: CONFIG, noPhysicFilePath: true, maskSecrets: true } });
  return messages.map(({ ruleId, messageId, range: [from, to] }) => ({
    ...{ from, to },
    rule: `${ruleId.replace(RULE, '')} ${messageId}`,
  }));
}

function privateKeys(content: string): Match[] {
  return [...content.matchAll(PRIVATE_KEY)].map(({ index, 0: key }) => ({
    ...{ from: index, to: index + key.length },
    rule: 'privatekey PEM',
  }));
}

function startsOf(lines: readonly string[]): number[] {
  let next = 0;
  return lines.map((line) => {
    const start = next;
    next += line.length + 1;
    return start;
  });
}

/** The index of the line in which an offset lies: the last that starts at or before it. */
function lineAt(starts: readonly number[], offset: number): number {
  let [low, high] = [0, starts.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((starts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}
