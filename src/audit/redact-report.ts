import type { HostEvent } from './events.ts';
import type { Redactor } from './redact.ts';
import { OUTPUT_UNITS, redactHostEvent } from './redact-event.ts';
import { StreamRedactor } from './redact-stream.ts';

/**
 * Takes the secrets out of what a host reports of one attempt, event by event in their order. Live output is one stream
 * that a command's writes cut anywhere: what ends in the middle of a secret waits for its other half, or for the next
 * event of another kind.
 */
export class ReportRedactor {
  #output: StreamRedactor | null = null;

  /** The events to be recorded in place of this one: none while all of it waits. */
  redact(redactor: Redactor, event: HostEvent): HostEvent[] {
    if (event.type !== 'output') return [...this.#rest(), redactHostEvent(redactor, event)];
    this.#output ??= new StreamRedactor(redactor);
    return pieces(this.#output.write(event.text));
  }

  #rest(): HostEvent[] {
    const rest = this.#output?.end() ?? '';
    this.#output = null;
    return pieces(rest);
  }
}

function pieces(text: string): HostEvent[] {
  const count = Math.ceil(text.length / OUTPUT_UNITS);
  return Array.from({ length: count }, (_, n) => ({
    type: 'output',
    text: text.slice(n * OUTPUT_UNITS, (n + 1) * OUTPUT_UNITS),
  }));
}
