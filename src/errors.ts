/**
 * An error meant for a person: what happened, what it means, and what to do next.
 *
 * `code` is stable and machine-readable (`snake_case`); tests and callers branch on it, never on the text.
 */
export class CoatcheckError extends Error {
  readonly code: string;
  readonly next: string;

  constructor(code: string, what: string, next: string, options?: { cause?: unknown }) {
    super(what, options);
    this.name = 'CoatcheckError';
    this.code = code;
    this.next = next;
  }

  /** The whole text for a person: what happened, then what to do. */
  override toString(): string {
    return `${this.message} ${this.next}`.trim();
  }
}

/** The text of anything that was thrown, for a log line or a record; never a stack trace. */
export function errorText(thrown: unknown): string {
  if (thrown instanceof CoatcheckError) return thrown.toString();
  return thrown instanceof Error ? thrown.message : String(thrown);
}
