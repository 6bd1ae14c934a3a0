/**
 * A real GitHub as the target, told by environment variables.
 *
 * It needs a test App of one's own, installed on a private test repository that may be written to: the suite opens
 * and closes issues, pushes and deletes a branch, opens and closes a pull request, and makes check runs.
 */
import { readFileSync } from 'node:fs';
import type { Target } from './target.ts';

const WANTED = {
  CONTRACT_APP_ID: 'the id of the test App',
  CONTRACT_PRIVATE_KEY_FILE: 'a file with its private key (PEM)',
  CONTRACT_REPOSITORY: 'OWNER/NAME of a private repository it is installed on, with at least one commit',
} as const;
const OPTIONAL = {
  CONTRACT_SECOND_REPOSITORY: 'OWNER/NAME of another private one of the same installation',
  CONTRACT_API: 'the API of an Enterprise Server, https://HOST/api/v3',
} as const;

const setting = (name: keyof typeof WANTED | keyof typeof OPTIONAL) => process.env[name] ?? '';

/** What a person has to set before the suite can run on GitHub; null when all is there. */
export function missingSettings(): string | null {
  const row = ([name, meaning]: [string, string]) => `  ${name}  ${meaning}`;
  const missing = Object.entries(WANTED).filter(([name]) => !process.env[name]);
  if (missing.length === 0) return null;
  return [
    'These environment variables are missing:',
    ...missing.map(row),
    'Optional:',
    ...Object.entries(OPTIONAL).map(row),
    'The App needs contents, issues, pull requests and checks (read and write), the issues event, and an active webhook.',
  ].join('\n');
}

function named(fullName: string): { owner: string; name: string } {
  const [owner = '', name = ''] = fullName.split('/');
  return { owner, name };
}

/** @throws Error naming what is missing */
export async function openGitHub(): Promise<Target> {
  const missing = missingSettings();
  if (missing !== null) throw new Error(missing);
  const api = setting('CONTRACT_API') || 'https://api.github.com';
  const repository = named(setting('CONTRACT_REPOSITORY'));
  return {
    api,
    web: api === 'https://api.github.com' ? 'https://github.com' : api.replace(/\/api\/v3\/?$/, ''),
    app: { id: Number(setting('CONTRACT_APP_ID')), privateKey: readFileSync(setting('CONTRACT_PRIVATE_KEY_FILE'), 'utf8') },
    repository,
    second: setting('CONTRACT_SECOND_REPOSITORY') ? named(setting('CONTRACT_SECOND_REPOSITORY')) : null,
    outside: { owner: repository.owner, name: 'there-is-no-such-repository' },
    close: async () => {},
  };
}
