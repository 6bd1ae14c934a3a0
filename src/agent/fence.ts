import { randomBytes } from 'node:crypto';

/** Encloses text from outside so that the model can tell it from its instructions, and the text cannot end its own fence. */
export type Fence = (kind: string, text: string) => string;

/** Characters of one fenced text that are shown; of a longer one head and tail. */
export const FENCED_LIMIT = 60_000;

/**
 * A fence with an unguessable name for one conversation. Text that holds the name all the same (somebody saw an earlier
 * turn) has it taken out.
 */
export function makeFence(name: string = randomBytes(8).toString('hex')): Fence {
  return (kind, text) => {
    const shown = clip(text.replaceAll(name, ''));
    return `<data-${name} kind="${kind}">\n${shown}\n</data-${name}>`;
  };
}

function clip(text: string): string {
  if (text.length <= FENCED_LIMIT) return text.toWellFormed();
  const half = FENCED_LIMIT / 2;
  const cut = text.length - 2 * half;
  return `${text.slice(0, half)}\n[… ${cut} characters left out …]\n${text.slice(-half)}`.toWellFormed();
}
