/**
 * The contract on a real GitHub: `npm run contract:github`. Never part of `npm test`.
 *
 * It needs a test App of one's own, installed on a private test repository that may be written to: it opens issues,
 * pushes a branch, opens and closes a pull request, and makes check runs on its commit.
 */
import { readFileSync } from 'node:fs';
import { expectations } from './expectations.ts';

const WANTED = {
  CONTRACT_APP_ID: 'the id of the test App',
  CONTRACT_PRIVATE_KEY_FILE: 'a file with its private key (PEM)',
  CONTRACT_REPOSITORY: 'OWNER/NAME of a private repository it is installed on, with at least one commit',
} as const;
const OPTIONAL = {
  CONTRACT_SECOND_REPOSITORY: 'OWNER/NAME of another one of the same installation',
  CONTRACT_API: 'the API of an Enterprise Server, https://HOST/api/v3',
} as const;

const setting = (name: keyof typeof WANTED | keyof typeof OPTIONAL) => process.env[name] ?? '';
const missing = Object.entries(WANTED).filter(([name]) => !process.env[name]);

function named(fullName: string): { owner: string; name: string } {
  const [owner = '', name = ''] = fullName.split('/');
  return { owner, name };
}

if (missing.length > 0) {
  const row = ([name, meaning]: [string, string]) => `  ${name}  ${meaning}`;
  process.stderr.write(`These environment variables are missing:\n${missing.map(row).join('\n')}\n`);
  process.stderr.write(`Optional:\n${Object.entries(OPTIONAL).map(row).join('\n')}\n`);
  process.stderr.write(
    'The App needs: contents, issues, pull requests and checks (read and write); events issues and issue comment; an active webhook.\n',
  );
  process.exitCode = 1;
} else {
  const api = setting('CONTRACT_API') || 'https://api.github.com';
  const repository = named(setting('CONTRACT_REPOSITORY'));
  expectations(api, async () => ({
    api,
    web: api === 'https://api.github.com' ? 'https://github.com' : api.replace(/\/api\/v3\/?$/, ''),
    app: { id: Number(setting('CONTRACT_APP_ID')), privateKey: readFileSync(setting('CONTRACT_PRIVATE_KEY_FILE'), 'utf8') },
    repository,
    second: setting('CONTRACT_SECOND_REPOSITORY') ? named(setting('CONTRACT_SECOND_REPOSITORY')) : null,
    outside: { owner: repository.owner, name: 'there-is-no-such-repository' },
    close: async () => {},
  }));
}
