import { z } from 'zod';
import { ModelDialect } from '../task/work-order.ts';
import { CAPABILITIES, Capability } from './capabilities.ts';
import { Glob } from './glob.ts';
import { Grants, neverReached, type Place } from './grants.ts';
import { LimitsFile } from './limits-file.ts';
import { PresetName } from './presets.ts';
import { QuarantineConfig } from './quarantine-config.ts';
import { Duration } from './units.ts';
import { VendorFeature } from './vendor-features.ts';
import { readYaml } from './yaml-document.ts';

const name = (what: string) => z.string().min(1).max(200).describe(what);
const price = z.number().nonnegative().describe('US dollars per million tokens');
const ImageReference = z
  .string()
  .min(1)
  .max(500)
  .regex(/^[a-z0-9][\w./:@-]*$/i, 'must be an image reference')
  .describe('an image reference, best as name@sha256:…');

/** What no runtime gives whose sandboxes share the host's kernel. */
const OWN_KERNEL_ONLY: ReadonlySet<Capability> = new Set<Capability>(['own_kernel', 'kernel_witness']);

export const ModelEntry = z.strictObject({
  name: name('the name repositories use and the endpoint knows'),
  dialect: ModelDialect,
  base_url: z
    .url({ protocol: /^https?$/, error: 'must be an http(s) URL' })
    .describe('the endpoint up to the dialect\'s own path, for example "https://api.anthropic.com/v1"'),
  key_env: z
    .string()
    .regex(/^[A-Z][A-Z0-9_]*$/, 'must be the name of an environment variable, not a key')
    .optional()
    .describe('the name of the environment variable that holds the key'),
  vendor_features: z
    .array(VendorFeature)
    .default([])
    .describe('what the vendor may do for a request beyond answering it: ways out by another name'),
  price: z.strictObject({ input: price, output: price, cached_input: price.optional() }).optional(),
});
export type ModelEntry = z.infer<typeof ModelEntry>;

/** The deployment's policy: what any task may do at most. policies/default.yaml is the commented form. */
export const OperatorConfig = z.strictObject({
  installations: z
    .array(z.union([z.int().positive(), z.string().min(1)], { error: 'must be an installation id or an account login' }))
    .default([])
    .describe('installation ids or account logins that are served; nothing listed, nobody served'),
  runtime: z
    .strictObject({
      allow: z
        .array(z.enum(['runsc', 'runc']))
        .min(1)
        .default(['runsc']),
      max_age: Duration.default(400 * 86_400_000).describe('the oldest runsc release to be used, as "400 days"'),
      exceptions: z.array(z.string().min(1)).default([]).describe('runsc versions that may be older'),
      require: z
        .array(Capability)
        .default([...CAPABILITIES])
        .describe(`what every sandbox must have, of ${CAPABILITIES.join(', ')}`),
    })
    .superRefine(({ allow, require }, context) => {
      const lacking = require.filter((capability) => OWN_KERNEL_ONLY.has(capability));
      if (allow.includes('runsc') || lacking.length === 0) return;
      const rest = CAPABILITIES.filter((capability) => !OWN_KERNEL_ONLY.has(capability));
      const message = `runc shares the host's kernel and cannot give ${lacking.join(', ')}: allow runsc, or for development write require: [${rest.join(', ')}]`;
      context.addIssue({ code: 'custom', path: ['require'], message });
    })
    .prefault({}),
  images: z
    .strictObject({
      default: ImageReference.default('coatcheck-runner:latest'),
      allowed: z.array(ImageReference).default([]).describe('images that repositories may name, by digest'),
    })
    .prefault({}),
  egress: z
    .strictObject({
      presets: z.array(PresetName).default([]).describe('presets that are open in set-up for every repository'),
      on_request: z.array(PresetName).default([]).describe('further presets that a repository may ask for'),
      grants: Grants.default([]).describe('named permissions that a repository may ask for by id'),
    })
    .superRefine(({ presets, on_request, grants }, context) => {
      for (const [index, { id }] of grants.entries()) {
        if (![...presets, ...on_request].includes(id)) continue;
        context.addIssue({ code: 'custom', path: ['grants', index, 'id'], message: 'is the name of a preset too' });
      }
    })
    .prefault({}),
  limits: LimitsFile.default({}).describe('ceilings, and what a task gets where its repository asks for no less'),
  daily: z
    .strictObject({
      tokens: z.int().positive().default(20_000_000).describe('tokens of one installation in one day (UTC)'),
      cost_usd: z.number().positive().default(50).describe('cost of one installation in one day (UTC), in US dollars'),
    })
    .prefault({}),
  models: z
    .array(ModelEntry)
    .min(1, 'name at least one model')
    .refine((models) => new Set(models.map((m) => m.name)).size === models.length, 'two models have the same name')
    .describe('a list of models, each with name, dialect, base_url, and perhaps key_env and price; the first is the default'),
  triggers: z
    .strictObject({
      label: z.string().min(1).max(50).default('coatcheck').describe('the label that starts a task'),
      assignee: z
        .string()
        .min(1)
        .nullable()
        .default(null)
        .describe('the login of a machine user whose assignment starts a task, or null'),
    })
    .prefault({}),
  quarantine: QuarantineConfig.prefault({}),
  protect: z.array(Glob).default([]).describe('globs of paths to protect besides the default ones'),
  yardstick: z
    .strictObject({
      tests: z.array(Glob).default([]).describe('globs of test files besides the default ones'),
      definitions: z.array(Glob).default([]).describe('globs of command definitions besides the default ones'),
    })
    .prefault({}),
});
export type OperatorConfig = z.infer<typeof OperatorConfig>;

/**
 * Reads the deployment's policy file. `github` are the places that doors answer by themselves in GitHub's stead, where
 * they are known: a grant for one of them is a mistake.
 * @throws CoatcheckError `configuration_invalid` with all problems, each with file, line, column and what is allowed.
 */
export function parseOperatorConfig(text: string, file: string, github: readonly Place[] = []): OperatorConfig {
  const schema = OperatorConfig.superRefine(({ egress }, context) => {
    for (const [index, grant] of egress.grants.entries()) {
      const message = neverReached(grant, github);
      if (message !== null) context.addIssue({ code: 'custom', path: ['egress', 'grants', index, 'host'], message });
    }
  });
  return readYaml(text, file, github.length === 0 ? OperatorConfig : schema).value;
}

/** Whether the operator serves this installation: by its id, or by its account's login in any case. */
export function servesInstallation(operator: OperatorConfig, installation: { id: number; login: string }): boolean {
  const login = installation.login.toLowerCase();
  return operator.installations.some((entry) =>
    typeof entry === 'number' ? entry === installation.id : entry.toLowerCase() === login,
  );
}
