import { CoatcheckError } from '../errors.ts';
import type { OperatorConfig } from '../policy/operator-config.ts';
import { parseRunscVersion } from '../setup/runsc-version.mjs';

const DAY_MS = 24 * 60 * 60_000;

/**
 * A runtime as old as its flaws are known is no protection.
 * @throws CoatcheckError `runsc_too_old` unless the policy excepts this very version.
 */
export function checkRunscAge(version: string, runtime: OperatorConfig['runtime'], policyFile: string, now = Date.now()): void {
  const parsed = parseRunscVersion(`runsc version ${version}`);
  const age = parsed === null ? null : now - parsed.released.getTime();
  if (runtime.exceptions.includes(version) || (age !== null && age <= runtime.max_age)) return;
  const days = age === null ? 'of unknown age' : `${Math.floor(age / DAY_MS)} days old`;
  throw new CoatcheckError(
    'runsc_too_old',
    `runsc ${version} is ${days}; the policy takes none older than ${Math.floor(runtime.max_age / DAY_MS)} days.`,
    `Install a newer runsc (docs/gvisor.md), or add "${version}" to runtime.exceptions in ${policyFile}.`,
  );
}
