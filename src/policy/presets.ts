import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { CoatcheckError } from '../errors.ts';
import { InspectRule } from './egress.ts';
import { readYaml } from './yaml-document.ts';

const PRESETS = fileURLToPath(new URL('../../policies/presets/', import.meta.url));

/** A preset file: a set of rules under one name. */
const Preset = z.strictObject({
  description: z.string().min(1),
  /** Set for registries that fetch from origins which the caller names: such a registry is itself a way out. */
  needs_operator_mirror: z.string().optional().describe('why the public registry is not offered, and what to do instead'),
  rules: z
    .array(InspectRule.omit({ id: true, credential: true }))
    .describe("egress rules; their id is made from the preset's name"),
});

/**
 * Reads presets by name. Their rules are called `preset:<name>`.
 * @throws CoatcheckError `preset_unknown`; `preset_needs_mirror` for one that only an operator's own mirror makes safe;
 *   `configuration_invalid` with file, line and what is allowed.
 */
export function loadPresets(names: readonly string[], directory: string = PRESETS): Map<string, readonly InspectRule[]> {
  return new Map(names.map((name) => [name, loadPreset(name, directory)]));
}

function loadPreset(name: string, directory: string): readonly InspectRule[] {
  const file = `${directory.replace(/\/*$/, '/')}${name}.yaml`;
  const { value } = readYaml(read(name, file), file, Preset);
  if (value.needs_operator_mirror !== undefined)
    throw new CoatcheckError(
      'preset_needs_mirror',
      `The preset ${name} is not open by itself: ${value.needs_operator_mirror}`,
      'Add a grant for your own mirror to egress.grants.',
    );
  return value.rules.map((rule) => ({ ...rule, id: `preset:${name}` }));
}

function read(name: string, file: string): string {
  const unknown = (cause?: unknown) =>
    new CoatcheckError(
      'preset_unknown',
      `There is no egress preset named "${name}".`,
      'See policies/presets for those there are.',
      { cause },
    );
  if (!/^[a-z][a-z0-9-]{0,40}$/.test(name)) throw unknown();
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw unknown(cause);
  }
}
