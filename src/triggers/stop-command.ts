import { splitFences } from './code-fences.ts';
import { stripHidden } from './strip-hidden.ts';

/** How much of a comment is looked at. */
const READ_CHARS = 65_536;

/**
 * Whether a comment holds `/coatcheck stop` or `@SLUG stop` on a line of its own, without regard to case. Quoted text,
 * code blocks and what readers do not see give no commands.
 */
export function asksToStop(body: string, appSlug: string): boolean {
  const names = ['/coatcheck', `@${appSlug}`, `@${appSlug}[bot]`].map((name) => name.toLowerCase());
  return splitFences(stripHidden(body.slice(0, READ_CHARS)).text)
    .filter((part) => !part.code)
    .flatMap((part) => part.text.split('\n'))
    .some((line) => {
      const [name, verb, more] = line
        .replace(/^ {0,3}/, '')
        .toLowerCase()
        .split(/[ \t]+/);
      return name !== undefined && names.includes(name) && verb?.replace(/[.!]$/, '') === 'stop' && (more ?? '') === '';
    });
}
