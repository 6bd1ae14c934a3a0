import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { startForge } from '../../../test/forge/forge.ts';
import type { ModelEndpoint } from '../../config.ts';
import { readAppFile } from '../../github/manifest.ts';
import { freePort, type Product, startProduct } from './product.ts';

export const OWNER = 'octo';
export const HUMAN = 'ada';

export interface DeploymentOptions {
  /** Everything of it is below this directory. */
  readonly directory: string;
  readonly model: ModelEndpoint & { readonly name: string; readonly price?: { input: number; output: number } };
  /** Parts of the policy beside what a deployment on the forge needs. */
  readonly policy?: object;
  readonly environment?: Readonly<Record<string, string>>;
  readonly mode?: 'all' | 'control';
}

/** coatcheck as it ships, beside a forge in GitHub's place: an App made from app.yml, installed on one account. */
export async function startDeployment(options: DeploymentOptions) {
  const { directory, model } = options;
  const forge = await startForge({ directory: path.join(directory, 'forge') });
  try {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const webhookSecret = randomBytes(24).toString('hex');
    const file = readAppFile(await readFile(new URL('../../../app.yml', import.meta.url), 'utf8'));
    const app = await forge.createApp({
      slug: 'coatcheck',
      webhookUrl: `${url}/api/github/webhooks`,
      webhookSecret,
      permissions: file.default_permissions,
      events: [...file.default_events],
    });
    await forge.createUser(HUMAN);
    await forge.createUser(OWNER);
    const { installationId } = await forge.install({ app: app.slug, owner: OWNER });
    const policy = {
      installations: [OWNER],
      // Debian's runsc is older than a production start takes; here it is excepted, and the record names it.
      runtime: { max_age: '3650 days' },
      egress: { presets: ['npm', 'pypi'] },
      models: [
        {
          name: model.name,
          dialect: model.dialect,
          base_url: model.baseUrl,
          key_env: 'MODEL_KEY',
          ...(model.price && { price: model.price }),
        },
      ],
      ...options.policy,
    };
    const environment = {
      COATCHECK_LISTEN: `127.0.0.1:${port}`,
      COATCHECK_OPEN_PAGES: 'true',
      GITHUB_API_URL: forge.api,
      APP_ID: String(app.appId),
      PRIVATE_KEY: app.privateKey,
      WEBHOOK_SECRET: webhookSecret,
      MODEL_KEY: model.apiKey === '' ? 'none' : model.apiKey,
      ...options.environment,
    };
    const start = (mode: 'all' | 'control' | 'host', more: Readonly<Record<string, string>> = {}, below = 'data') =>
      startProduct({ mode, directory: path.join(directory, below), policy, environment: { ...environment, ...more } });
    let product: Product = await start(options.mode ?? 'all');
    return {
      forge,
      app,
      installationId,
      webhookSecret,
      url,
      dataDirectory: path.join(directory, 'data'),
      get product() {
        return product;
      },
      /** Starts another process of the product beside the first, for example a second host. */
      start,
      /** Starts the product again after it ended. */
      async restart(): Promise<void> {
        product = await start(options.mode ?? 'all');
      },
      async close(): Promise<void> {
        await product.close();
        await forge.close();
      },
    };
  } catch (error) {
    await forge.close();
    throw error;
  }
}
export type Deployment = Awaited<ReturnType<typeof startDeployment>>;
