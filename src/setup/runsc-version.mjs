/** gVisor's version is a date: its age is how old its protections are. */
import { run } from './command.mjs';

const DAY_MS = 86_400_000;

/**
 * Reads the release date out of what `runsc --version` prints: `runsc version release-20240729.0` (gVisor's own
 * builds) or `runsc version 0.0~20240729.0` (Debian's).
 * @param {string} text
 * @returns {{ version: string, released: Date } | null} null when there is no date in it
 */
export function parseRunscVersion(text) {
  const version = /runsc version (\S+)/.exec(text)?.[1];
  const date = version === undefined ? null : /(20\d{2})(\d{2})(\d{2})/.exec(version);
  if (version === undefined || date === null) return null;
  const released = new Date(`${date[1]}-${date[2]}-${date[3]}T00:00:00Z`);
  return Number.isNaN(released.getTime()) ? null : { version, released };
}

/**
 * Version and age of the installed runsc; for the start of the product, which refuses an old one.
 * @param {{ program?: string, now?: Date }} [options]
 * @returns {Promise<{ version: string, released: Date, ageDays: number } | null>} null when it is missing or undated
 */
export async function runscAge({ program = 'runsc', now = new Date() } = {}) {
  const { code, output } = await run(program, ['--version'], { allowFailure: true, timeoutMs: 10_000 });
  const parsed = code === 0 ? parseRunscVersion(output) : null;
  if (parsed === null) return null;
  return { ...parsed, ageDays: Math.floor((now.getTime() - parsed.released.getTime()) / DAY_MS) };
}
