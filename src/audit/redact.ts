import { LONGEST_LEAD, SECRET_PATTERNS } from './secret-patterns.ts';

/** A stretch of text that is a secret. */
export interface SecretSpan {
  readonly start: number;
  readonly end: number;
  /** `known`, or the name of the pattern. */
  readonly kind: string;
}

/** Values shorter than this would black out ordinary words, and are not taken. */
export const SHORTEST_KNOWN = 8;

/**
 * Takes secrets out of text as it comes in, before it is stored, shown or hashed: by exact value where the deployment
 * knows it (in plain, URL and base64 form), and by form.
 */
export class Redactor {
  readonly #known: RegExp | null;
  readonly #counts = new Map<string, number>();
  /** Every spelling of the known values that is looked for. */
  readonly spellings: readonly string[];

  constructor(known: Iterable<string>) {
    const values = [...new Set(known)].filter((value) => value.length >= SHORTEST_KNOWN);
    this.spellings = [...new Set(values.flatMap(spellingsOf))].sort((a, b) => b.length - a.length);
    this.#known = this.spellings.length === 0 ? null : new RegExp(this.spellings.map(escaped).join('|'), 'g');
  }

  /** How often something of each kind was taken out, over everything that went through. */
  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  /** The secrets in a text, in order, those that touch or overlap joined. */
  spans(text: string): readonly SecretSpan[] {
    const found: SecretSpan[] = [];
    if (this.#known !== null) found.push(...matches(text, this.#known, 'known'));
    for (const [kind, pattern] of Object.entries(SECRET_PATTERNS)) found.push(...matches(text, pattern, kind));
    return joined(found);
  }

  /** A whole text without its secrets. */
  text(text: string): string {
    return this.replaceFrom(text, 0, text.length, this.spans(text));
  }

  /** A value of JSON's kinds, every string in it redacted, member names too. */
  value(value: unknown): unknown {
    if (typeof value === 'string') return this.text(value);
    if (Array.isArray(value)) return value.map((member) => this.value(member));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [this.text(name), this.value(member)]));
  }

  /** The part of `text` from `from` to `to` with the spans in it replaced; counts them. */
  replaceFrom(text: string, from: number, to: number, spans: readonly SecretSpan[]): string {
    let result = '';
    let at = from;
    for (const { start, end, kind } of spans) {
      if (end <= from || end > to) continue;
      result += `${text.slice(at, Math.max(start, from))}[redacted: ${kind}]`;
      at = end;
      this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
    }
    return result + text.slice(at, to);
  }
}

const escaped = (text: string) => text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');

function* matches(text: string, pattern: RegExp, kind: string): Generator<SecretSpan> {
  for (const match of text.matchAll(pattern)) yield { start: match.index, end: match.index + match[0].length, kind };
}

function joined(found: SecretSpan[]): readonly SecretSpan[] {
  // A known value is named as such even where a pattern finds it too.
  found.sort((a, b) => a.start - b.start || b.end - a.end || Number(b.kind === 'known') - Number(a.kind === 'known'));
  const result: SecretSpan[] = [];
  for (const span of found) {
    const last = result.at(-1);
    if (last === undefined || span.start >= last.end) result.push(span);
    else if (span.end > last.end) result[result.length - 1] = { ...last, end: span.end };
  }
  return result;
}

/** Plain, as it stands in a URL or in JSON, and the part of its base64 that is the same whatever stands around it. */
function spellingsOf(value: string): readonly string[] {
  const base64 = [0, 1, 2].map((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), Buffer.from(value)]).toString('base64');
    // Characters that mix in bits of what stands before or after are left out.
    return text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + Buffer.byteLength(value)) * 8) / 6));
  });
  const url = base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'));
  const hex = Buffer.from(value).toString('hex');
  const all = [value, encodeURIComponent(value), JSON.stringify(value).slice(1, -1), ...base64, ...url, hex];
  return all.filter((text) => text.length >= SHORTEST_KNOWN && text.length > 0);
}

/** How much of what was already let through stays in view, so that a pattern sees what stands before a secret. */
export const CONTEXT = LONGEST_LEAD;
