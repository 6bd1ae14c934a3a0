import { z } from 'zod';
import type { DeclaredCommand } from '../task/verification.ts';
import { CommandKind } from '../task/verification.ts';
import { Capability } from './capabilities.ts';
import { Glob } from './glob.ts';
import { LimitsFile } from './limits-file.ts';
import { StricterQuarantine } from './quarantine-config.ts';
import { readYaml } from './yaml-document.ts';

/** Read from the base tree only; a copy that the change brings is never read. */
export const REPOSITORY_CONFIG = '.github/coatcheck.yml';

const COMMANDS_ALLOWED = 'a command, or a list of commands';
const Command = z
  .string()
  .min(1)
  .max(4096)
  .refine((run) => run.trim() !== '', 'must not be empty')
  .refine((run) => !run.includes('\0'), 'must not contain NUL');
const Commands = z
  .union([Command, z.array(Command).max(20)], { error: `must be ${COMMANDS_ALLOWED} of at most 4096 characters each` })
  .transform((one) => (typeof one === 'string' ? [one] : one))
  .describe(COMMANDS_ALLOWED);

/** An image that cannot become another one. */
export const ImageByDigest = z.string().regex(/@sha256:[0-9a-f]{64}$|^sha256:[0-9a-f]{64}$/, 'must name an image by its digest');
export const EgressNames = z.array(z.string().min(1)).max(50);
export const YardstickGlobs = z
  .strictObject({
    tests: z.array(Glob).max(200).default([]).describe('globs of test files besides the default ones'),
    definitions: z.array(Glob).max(200).default([]).describe('globs of command definitions besides the default ones'),
  })
  .prefault({});

/** What a repository asks for itself. Every part narrows or adds caution; nothing in it can widen the operator's policy. */
export const RepositoryConfig = z.strictObject({
  commands: z
    .strictObject({ install: Commands, build: Commands, test: Commands, lint: Commands })
    .partial()
    .optional()
    .describe('the commands, in place of those of the rule file'),
  model: z.string().min(1).optional().describe("the name of a model on the operator's list"),
  image: ImageByDigest.optional().describe("an image on the operator's list, as name@sha256:…"),
  limits: LimitsFile.optional(),
  egress: EgressNames.optional().describe('names of presets and grants, in place of the default presets'),
  protect: z.array(Glob).max(200).default([]).describe('globs of paths to protect besides the default ones'),
  yardstick: YardstickGlobs,
  quarantine: StricterQuarantine.default({}),
  runtime: z
    .strictObject({
      require: z.array(Capability).default([]).describe('what the sandbox must have besides what is required of all'),
    })
    .prefault({}),
});
export type RepositoryConfig = z.infer<typeof RepositoryConfig>;

export interface ReadRepositoryConfig {
  readonly config: RepositoryConfig;
  /** The stated commands with their lines; null when the file states none and the rule file speaks. */
  readonly commands: DeclaredCommand[] | null;
}

/**
 * Reads `.github/coatcheck.yml`.
 * @param file the name shown in messages
 * @throws CoatcheckError `configuration_invalid` with all problems, each with file, line, column and what is allowed.
 */
export function parseRepositoryConfig(text: string, file: string = REPOSITORY_CONFIG): ReadRepositoryConfig {
  const { value: config, lineOf } = readYaml(text, file, RepositoryConfig);
  const stated = config.commands;
  if (stated === undefined) return { config, commands: null };
  const commands = CommandKind.options.flatMap((kind) =>
    (stated[kind] ?? []).map((run, index) => ({
      kind,
      run,
      meaning: kind,
      source: { file, line: lineOf(['commands', kind, index]) },
    })),
  );
  return { config, commands };
}
