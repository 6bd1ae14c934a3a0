import { CoatcheckError } from '../errors.ts';
import { call, githubError } from './failure.ts';
import type { Octokits } from './octokit.ts';

export interface Self {
  appId: number;
  slug: string;
  /** The page of the App, for people who want to install it. */
  url: string;
  botLogin: string;
  botUserId: number;
}

/**
 * Who we are on GitHub. The bot's user id is asked for with a token of any installation, as the App's own JWT may not ask
 * for users; without any installation it is asked for anonymously, which a private Enterprise Server refuses.
 */
export async function readSelf(octokits: Octokits): Promise<Self> {
  return call('Reading who the App is', undefined, async () => {
    const app = await octokits.app();
    const { data } = await app.rest.apps.getAuthenticated();
    if (data?.slug === undefined) {
      throw new CoatcheckError('github_refused', 'GitHub does not name the App.', 'Check the App id and its private key.');
    }
    const botLogin = `${data.slug}[bot]`;
    const user = await botUser(octokits, botLogin);
    return { appId: data.id, slug: data.slug, url: data.html_url, botLogin, botUserId: user };
  });
}

async function botUser(octokits: Octokits, login: string): Promise<number> {
  const app = await octokits.app();
  const { data: installations } = await app.rest.apps.listInstallations({ per_page: 100 });
  const usable = installations.find((installation) => installation.suspended_at === null) ?? null;
  if (usable === null) return askFor(octokits.anonymous());
  const { data } = await app.rest.apps.createInstallationAccessToken({
    installation_id: usable.id,
    permissions: { metadata: 'read' },
  });
  const octokit = octokits.withToken(`self-${usable.id}`, () => Promise.resolve(data.token));
  try {
    return await askFor(octokit);
  } finally {
    await octokit.rest.apps.revokeInstallationAccessToken().catch(() => undefined);
  }

  async function askFor(by: typeof app): Promise<number> {
    try {
      return (await by.rest.users.getByUsername({ username: login })).data.id;
    } catch (error) {
      throw githubError(`Reading the user ${login}`, error);
    }
  }
}
