import { readFileSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { CoatcheckError } from './errors.ts';

const flag = z.enum(['true', 'false']).transform((value) => value === 'true');
const text = z.string().min(1);

/** The environment as an operator writes it. Variables that are set to nothing count as not set. */
const Environment = z.object({
  COATCHECK_DATA_DIR: text.optional(),
  COATCHECK_POLICY: text.optional(),
  COATCHECK_LISTEN: z
    .string()
    .regex(/^(?:\[[0-9a-fA-F:]+\]|[0-9A-Za-z.-]+):\d{1,5}$/, 'write it as host:port, for example 127.0.0.1:3000')
    .default('127.0.0.1:3000'),
  COATCHECK_PUBLIC_URL: z.url({ protocol: /^https?$/ }).optional(),
  COATCHECK_DELIVERIES: z.enum(['webhook', 'poll']).default('webhook'),
  COATCHECK_OPEN_PAGES: flag.default(false),
  COATCHECK_CONTROL_URL: z.url({ protocol: /^https?$/ }).optional(),
  COATCHECK_HOST_KEY: z
    .string()
    .min(32, 'use at least 32 characters, for example the output of: openssl rand -hex 32')
    .optional(),
  COATCHECK_HOST_NAME: text.optional(),
  COATCHECK_HOST_SLOTS: z.coerce.number().int().min(1).max(64).default(2),
  // Shorter, a busy machine loses living hosts; longer, a dead one keeps its task too long.
  COATCHECK_LEASE_MS: z.coerce.number().int().min(2000).max(600_000).default(15_000),
  COATCHECK_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
  GITHUB_API_URL: z.url({ protocol: /^https?$/ }).default('https://api.github.com'),
  APP_ID: z.coerce.number().int().positive().optional(),
  PRIVATE_KEY: text.optional(),
  PRIVATE_KEY_PATH: text.optional(),
  WEBHOOK_SECRET: text.optional(),
  WEBHOOK_PROXY_URL: z.url().optional(),
  REDIS_URL: z.url({ protocol: /^(?:rediss?|unix)$/ }).optional(),
  DATABASE_URL: text.optional(),
  DOCKER_HOST: z
    .string()
    .regex(/^unix:\/\/\//, 'only an engine on this machine can be used: unix:///path/to/docker.sock')
    .default('unix:///var/run/docker.sock'),
  HTTPS_PROXY: text.optional(),
  https_proxy: text.optional(),
  NO_PROXY: text.optional(),
  no_proxy: text.optional(),
  NODE_EXTRA_CA_CERTS: text.optional(),
});

export interface AppCredentials {
  readonly appId: number;
  readonly privateKey: string;
  readonly webhookSecret: string;
}

export interface Config {
  readonly dataDirectory: string;
  readonly policyFile: string;
  readonly listen: { readonly host: string; readonly port: number };
  /** Where people and GitHub reach the control plane, without a trailing slash; null until the listener's port is known. */
  readonly publicUrl: string | null;
  readonly deliveries: 'webhook' | 'poll';
  /** Task pages and their list without a link of their own; only ever on a loopback listener. */
  readonly openPages: boolean;
  readonly controlUrl: string | null;
  readonly hostKey: string | null;
  readonly hostName: string;
  readonly hostSlots: number;
  /** How long a host may be silent before its attempt is taken for lost, in milliseconds. */
  readonly leaseMs: number;
  readonly logLevel: string;
  readonly githubApiUrl: string;
  /** The App's credentials from the environment; null when they come from the data directory. */
  readonly app: AppCredentials | null;
  readonly webhookProxyUrl: string | null;
  readonly redisUrl: string | null;
  readonly dockerSocket: string;
  readonly upstreamProxy: string | null;
  /** Hosts reached without the proxy, as NO_PROXY has it; empty for none. */
  readonly noProxy: string;
  /** PEM text of the company's own certificate authorities, or empty. */
  readonly authorities: string;
  /** The value of a variable that the operator's policy names, for example a model's key. */
  readonly secret: (name: string) => string | null;
}

function explain(error: z.ZodError): CoatcheckError {
  const lines = error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  return new CoatcheckError(
    'environment_invalid',
    `The environment cannot be used: ${lines.join('; ')}.`,
    'Correct the named variables and start again; README.md lists them all.',
  );
}

function readFile(variable: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CoatcheckError(
      'environment_invalid',
      `${variable} names ${file}, which cannot be read.`,
      'Correct the path or its permissions, and start again.',
      { cause: error },
    );
  }
}

function appFrom(env: z.infer<typeof Environment>): AppCredentials | null {
  const key =
    env.PRIVATE_KEY?.replaceAll('\\n', '\n') ?? (env.PRIVATE_KEY_PATH && readFile('PRIVATE_KEY_PATH', env.PRIVATE_KEY_PATH));
  if (env.APP_ID === undefined && key === undefined && env.WEBHOOK_SECRET === undefined) return null;
  if (env.APP_ID === undefined || !key || env.WEBHOOK_SECRET === undefined) {
    throw new CoatcheckError(
      'environment_invalid',
      'APP_ID, PRIVATE_KEY (or PRIVATE_KEY_PATH) and WEBHOOK_SECRET are only partly set.',
      'Set all three, or none to use the App that the first-start page creates.',
    );
  }
  return { appId: env.APP_ID, privateKey: key, webhookSecret: env.WEBHOOK_SECRET };
}

/** A home for the data that only its owner reads: the system's place for root, the user's own otherwise. */
function defaultDataDirectory(): string {
  return process.getuid?.() === 0 ? '/var/lib/coatcheck' : path.join(homedir(), '.local', 'state', 'coatcheck');
}

/**
 * Reads the environment; the only place that does. No secret has a default.
 * @throws CoatcheckError `environment_invalid` naming every variable that cannot be used.
 */
export function readConfig(environment: Readonly<Record<string, string | undefined>> = process.env): Config {
  const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = Environment.safeParse(set);
  if (!parsed.success) throw explain(parsed.error);
  const env = parsed.data;
  if (env.DATABASE_URL !== undefined) {
    throw new CoatcheckError(
      'environment_invalid',
      'DATABASE_URL is set, but this version keeps its state in the SQLite file of the data directory only.',
      'Unset DATABASE_URL.',
    );
  }
  const split = env.COATCHECK_LISTEN.lastIndexOf(':');
  const listen = {
    host: env.COATCHECK_LISTEN.slice(0, split).replace(/^\[|\]$/g, ''),
    port: Number(env.COATCHECK_LISTEN.slice(split + 1)),
  };
  if (env.COATCHECK_OPEN_PAGES && !['127.0.0.1', '::1', 'localhost'].includes(listen.host)) {
    throw new CoatcheckError(
      'environment_invalid',
      `COATCHECK_OPEN_PAGES shows tasks to everybody who can connect, and COATCHECK_LISTEN is ${env.COATCHECK_LISTEN}.`,
      'Listen on 127.0.0.1, or unset COATCHECK_OPEN_PAGES and use the links in comments and checks.',
    );
  }
  return {
    dataDirectory: path.resolve(env.COATCHECK_DATA_DIR ?? defaultDataDirectory()),
    policyFile: path.resolve(env.COATCHECK_POLICY ?? path.join(import.meta.dirname, '..', 'policies', 'default.yaml')),
    listen,
    publicUrl: env.COATCHECK_PUBLIC_URL?.replace(/\/+$/, '') ?? null,
    deliveries: env.COATCHECK_DELIVERIES,
    openPages: env.COATCHECK_OPEN_PAGES,
    controlUrl: env.COATCHECK_CONTROL_URL?.replace(/\/+$/, '') ?? null,
    hostKey: env.COATCHECK_HOST_KEY ?? null,
    hostName: env.COATCHECK_HOST_NAME ?? hostname(),
    hostSlots: env.COATCHECK_HOST_SLOTS,
    leaseMs: env.COATCHECK_LEASE_MS,
    logLevel: env.COATCHECK_LOG_LEVEL,
    githubApiUrl: env.GITHUB_API_URL.replace(/\/+$/, ''),
    app: appFrom(env),
    webhookProxyUrl: env.WEBHOOK_PROXY_URL ?? null,
    redisUrl: env.REDIS_URL ?? null,
    dockerSocket: env.DOCKER_HOST.slice('unix://'.length),
    upstreamProxy: env.HTTPS_PROXY ?? env.https_proxy ?? null,
    noProxy: env.NO_PROXY ?? env.no_proxy ?? '',
    authorities: env.NODE_EXTRA_CA_CERTS === undefined ? '' : readFile('NODE_EXTRA_CA_CERTS', env.NODE_EXTRA_CA_CERTS),
    secret: (name) => set[name] ?? null,
  };
}

/** What a child process of ours inherits; nothing secret is among it. */
const INHERITED = [
  'PATH',
  'HOME',
  'LANG',
  'TMPDIR',
  'NODE_EXTRA_CA_CERTS',
  'HTTPS_PROXY',
  'https_proxy',
  'NO_PROXY',
  'no_proxy',
  'DOCKER_HOST',
  'NODE_COMPILE_CACHE',
];

/** The environment for a child process: what is harmless of ours, and what it is given. */
export function childEnvironment(
  given: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Record<string, string> {
  const inherited = INHERITED.flatMap((name) => {
    const value = environment[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(inherited), ...given };
}

export interface ModelEndpoint {
  readonly dialect: 'anthropic-messages' | 'openai-chat';
  readonly baseUrl: string;
  readonly apiKey: string;
}

/**
 * A vendor's endpoint by its own customary variables; which vendor, the model's name tells, else which key is set.
 * @throws CoatcheckError `model_key_missing` saying which variables would do.
 */
export function modelEndpoint(
  model: string,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): ModelEndpoint {
  const at = (vendor: 'ANTHROPIC' | 'OPENAI', dialect: ModelEndpoint['dialect'], standard: string): ModelEndpoint | null => {
    const key = environment[`${vendor}_API_KEY`];
    const url = environment[`${vendor}_BASE_URL`];
    return key || url ? { dialect, baseUrl: (url || standard).replace(/\/+$/, ''), apiKey: key ?? '' } : null;
  };
  const anthropic = at('ANTHROPIC', 'anthropic-messages', 'https://api.anthropic.com');
  const openai = at('OPENAI', 'openai-chat', 'https://api.openai.com/v1');
  const found = model.startsWith('claude') ? (anthropic ?? openai) : (openai ?? anthropic);
  if (found !== null) return found;
  throw new CoatcheckError(
    'model_key_missing',
    `There is no key or address for the model “${model}” in the environment.`,
    'Set ANTHROPIC_API_KEY or ANTHROPIC_BASE_URL, or for an OpenAI-compatible endpoint OPENAI_API_KEY or OPENAI_BASE_URL.',
  );
}
