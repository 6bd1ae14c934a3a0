import { ControlEvent, HostEvent } from './events.ts';
import type { Redactor } from './redact.ts';

/** The longest text of an `output` event; a mark may be longer than the secret in whose place it stands. */
export const OUTPUT_UNITS = 16_384;

/** A host's event without secrets: to be called before it is stored, shown or chained. */
export function redactHostEvent(redactor: Redactor, event: HostEvent): HostEvent {
  return HostEvent.parse(redactor.value(shortened(redactor, event)));
}

/** An event of the control plane without secrets. */
export function redactControlEvent(redactor: Redactor, event: ControlEvent): ControlEvent {
  return ControlEvent.parse(redactor.value(event));
}

function shortened(redactor: Redactor, event: HostEvent): HostEvent {
  return event.type === 'output' ? { ...event, text: redactor.text(event.text).slice(0, OUTPUT_UNITS) } : event;
}
