/** The allowed edges between rooms, as ARCHITECTURE.md draws them. A room is a folder of src/, or a file directly in it. */

/** What everything may use; these use nothing but each other. */
export const VOCABULARY: readonly string[] = ['task', 'policy', 'errors.ts'];

const EVERY_ROOM = [
  'agent',
  'app.ts',
  'audit',
  'cage',
  'config.ts',
  'control',
  'door',
  'git',
  'github',
  'host',
  'model',
  'prove',
  'queue',
  'sandbox',
  'setup',
  'store',
  'triggers',
];

/** Room → what it may use beyond the vocabulary and itself: rooms, or single files of them. */
export const MAY_USE: Readonly<Record<string, readonly string[]>> = {
  task: [],
  policy: [],
  'errors.ts': [],
  'config.ts': [],
  triggers: [],
  store: [],
  queue: [],
  github: [],
  sandbox: [],
  model: [],
  audit: [],
  cage: [],
  git: ['cage'],
  door: ['cage'],
  prove: ['door', 'sandbox'],
  agent: ['audit/events.ts', 'sandbox/sandbox.ts'],
  host: ['queue', 'sandbox', 'door', 'git', 'agent', 'audit'],
  control: ['store', 'queue', 'github', 'git', 'model', 'audit', 'triggers'],
  'app.ts': ['control', 'triggers'],
  start: EVERY_ROOM,
  cli: [...EVERY_ROOM, 'start/runsc-age.ts'],
  setup: [],
  'main.ts': [...EVERY_ROOM, 'start'],
};

/** What the quickstart plays on; nothing else of the product knows the tests' folder. */
export const OUTSIDE: Readonly<Record<string, readonly string[]>> = {
  'cli/quickstart': ['../test/forge/forge.ts', '../test/model/model.ts', '../test/model/samples.ts'],
};

/** Packages that are known to one place only. */
export const ONLY_IN: readonly { readonly packages: RegExp; readonly rooms: readonly string[] }[] = [
  { packages: /^(?:dockerode|docker-modem)$/, rooms: ['sandbox'] },
  { packages: /^(?:bullmq|ioredis)$/, rooms: ['queue'] },
  { packages: /^@octokit\/(?!webhooks)/, rooms: ['github'] },
  { packages: /^probot$/, rooms: ['app.ts', 'github'] },
  { packages: /^(?:kysely|pg|node:sqlite)$/, rooms: ['store'] },
  { packages: /^simple-git$/, rooms: ['git'] },
  { packages: /^(?:ai|@ai-sdk\/.+)$/, rooms: ['agent', 'model'] },
];

/** Files that may read `process.env`: the configuration, and what must run before it can. */
export const READS_ENVIRONMENT: readonly string[] = ['src/config.ts', 'src/setup/environment.mjs'];
