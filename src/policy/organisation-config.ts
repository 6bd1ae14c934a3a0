import { z } from 'zod';
import { Capability } from './capabilities.ts';
import { Glob } from './glob.ts';
import { LimitsFile } from './limits-file.ts';
import { StricterQuarantine } from './quarantine-config.ts';
import { EgressNames, ImageByDigest, YardstickGlobs } from './repository-config.ts';
import { readYaml } from './yaml-document.ts';

/** The repository of an account that holds what counts for all its others. */
export const ORGANISATION_REPOSITORY = '.github';
/** Read from that repository's default branch. */
export const ORGANISATION_CONFIG = '.github/coatcheck.yml';

/** What an account asks for all its repositories: at most this. Nothing in it can widen the operator's policy. */
export const OrganisationConfig = z.strictObject({
  limits: LimitsFile.optional(),
  egress: EgressNames.optional().describe(
    'names of presets and grants, in place of the default presets; a repository may name these at most',
  ),
  models: z
    .array(z.string().min(1))
    .min(1)
    .max(50)
    .optional()
    .describe("names of models on the operator's list that repositories may use, the default first"),
  images: z.array(ImageByDigest).max(50).optional().describe("images on the operator's list that repositories may name"),
  protect: z.array(Glob).max(200).default([]).describe('globs of paths to protect besides the default ones'),
  yardstick: YardstickGlobs,
  quarantine: StricterQuarantine.default({}),
  runtime: z
    .strictObject({
      require: z.array(Capability).default([]).describe('what sandboxes must have besides what the operator requires'),
    })
    .prefault({}),
});
export type OrganisationConfig = z.infer<typeof OrganisationConfig>;

/**
 * Reads an account's file.
 * @param file the name shown in messages
 * @throws CoatcheckError `configuration_invalid` with all problems, each with file, line, column and what is allowed.
 */
export const parseOrganisationConfig = (text: string, file: string): OrganisationConfig =>
  readYaml(text, file, OrganisationConfig).value;
