import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { CoatcheckError } from '../errors.ts';
import { InspectRule } from './egress.ts';
import { GO_SUM, goModulePaths } from './go-modules.ts';
import { readYaml } from './yaml-document.ts';

const PRESETS = fileURLToPath(new URL('../../policies/presets/', import.meta.url));

/** The presets that there are. */
const presetNames = (): string[] =>
  readdirSync(PRESETS)
    .flatMap((file) => (file.endsWith('.yaml') ? [file.slice(0, -'.yaml'.length)] : []))
    .sort();

/** The name of one that there is; looked up when it is needed, because not every process of ours can see the directory. */
export const PresetName = z.string().superRefine((name, context) => {
  const known = presetNames();
  if (!known.includes(name))
    context.addIssue({ code: 'custom', message: `there is no preset "${name}", only ${known.join(', ')}` });
});

/** A preset file: a set of rules under one name. */
const PresetFile = z
  .strictObject({
    description: z.string().min(1),
    modules_of: z.literal(GO_SUM).optional().describe('the lock file of the base that says which paths are open'),
    rules: z
      .array(InspectRule.omit({ id: true, credential: true }))
      .describe("egress rules; their id is made from the preset's name"),
  })
  .refine((file) => file.modules_of === undefined || file.rules.every(({ paths }) => paths.join() === '/'), {
    error: 'where modules_of says which paths are open, no rule has paths of its own',
    path: ['rules'],
  });

/** A preset, as far as it can be known without a repository. */
export interface Preset {
  readonly rules: readonly InspectRule[];
  /** The lock file that has to be read for its paths; null for one whose rules stand as they are. */
  readonly modulesOf: typeof GO_SUM | null;
}

/**
 * Reads presets by name. Their rules are called `preset:<name>`.
 * @throws CoatcheckError `preset_unknown`; `configuration_invalid` with file, line and what is allowed.
 */
export function readPresets(names: readonly string[], directory: string = PRESETS): Map<string, Preset> {
  return new Map(names.map((name) => [name, readPreset(name, directory)]));
}

/** The rules of presets as {@link readPresets} reads them; one that depends on a lock file opens nothing by itself. */
export function loadPresets(names: readonly string[], directory: string = PRESETS): Map<string, readonly InspectRule[]> {
  return new Map([...readPresets(names, directory)].map(([name, preset]) => [name, presetRules(preset, null)]));
}

/** The rules that a preset comes to for a base: `lockFile` is the text of the file in `modulesOf`, null where there is none. */
export function presetRules(preset: Preset, lockFile: string | null): readonly InspectRule[] {
  if (preset.modulesOf === null) return preset.rules;
  const paths = lockFile === null ? [] : goModulePaths(lockFile);
  return paths.length === 0 ? [] : preset.rules.map((rule) => ({ ...rule, paths, exact: true }));
}

function readPreset(name: string, directory: string): Preset {
  const file = `${directory.replace(/\/*$/, '/')}${name}.yaml`;
  const { value } = readYaml(read(name, file), file, PresetFile);
  return { rules: value.rules.map((rule) => ({ ...rule, id: `preset:${name}` })), modulesOf: value.modules_of ?? null };
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
