import { CONTEXT, type Redactor } from './redact.ts';
import { LONGEST_KEY_BLOCK, LONGEST_TOKEN } from './secret-patterns.ts';

/** A private key block as far as it goes when its end has not arrived. */
const OPEN_KEY_BLOCK = /^-----BEGIN [A-Z ]{0,45}(?:-{0,5}|-----[A-Za-z0-9+/=\s\\]{0,13800}(?:-{0,5}|-----E[A-Z ]{0,48}-{0,4}))$/;

/**
 * Redacts text that arrives in pieces: a secret split over pieces, at whatever place, is found as in the whole.
 * Lets through at once all that cannot be the beginning of a secret; holds back the rest until more arrives.
 */
export class StreamRedactor {
  readonly #redactor: Redactor;
  readonly #longestKnown: number;
  /** What was let through last, raw, then what is held back. */
  #text = '';
  #held = 0;

  constructor(redactor: Redactor) {
    this.#redactor = redactor;
    this.#longestKnown = Math.max(0, ...redactor.spellings.map((spelling) => spelling.length));
  }

  /** Takes a piece; returns what can be let through now, possibly nothing. */
  write(piece: string): string {
    this.#text += piece;
    return this.#release(false);
  }

  /** Everything that was held back. The stream begins anew after it. */
  end(): string {
    const rest = this.#release(true);
    this.#text = '';
    this.#held = 0;
    return rest;
  }

  #release(last: boolean): string {
    const text = this.#text;
    const spans = this.#redactor.spans(text);
    let cut = last ? text.length : this.#firstUnsure(text);
    if (!last) {
      // Backwards, so that moving the cut before one secret does not leave it inside an earlier one.
      for (const { start, end } of spans.toReversed()) {
        if (start < cut && (end > cut || end === text.length)) cut = start;
      }
    }
    if (cut <= this.#held) return '';
    const out = this.#redactor.replaceFrom(text, this.#held, cut, spans);
    const kept = Math.max(0, cut - CONTEXT);
    this.#text = text.slice(kept);
    this.#held = cut - kept;
    return out;
  }

  /** The first place from which on a secret may have begun that is not yet there as a whole. */
  #firstUnsure(text: string): number {
    // A token holds no white space: it can begin only in the last word, or in front of it by its own greatest length.
    const word = /\S*$/.exec(text.slice(-LONGEST_TOKEN))?.[0].length ?? 0;
    return Math.min(text.length - word, this.#openKeyBlock(text), this.#partOfKnown(text));
  }

  #openKeyBlock(text: string): number {
    const begin = text.lastIndexOf('-----BEGIN');
    return begin !== -1 && text.length - begin <= LONGEST_KEY_BLOCK && OPEN_KEY_BLOCK.test(text.slice(begin))
      ? begin
      : text.length;
  }

  /** Known values may hold white space: does the text end with the beginning of one? */
  #partOfKnown(text: string): number {
    for (let start = Math.max(0, text.length - this.#longestKnown); start < text.length; start += 1) {
      const tail = text.slice(start);
      if (this.#redactor.spellings.some((spelling) => spelling.startsWith(tail))) return start;
    }
    return text.length;
  }
}
