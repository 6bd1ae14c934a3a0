import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { AppCredentials } from '../config.ts';
import { CoatcheckError } from '../errors.ts';

const App = z.strictObject({ appId: z.int().positive(), privateKey: z.string().min(1), webhookSecret: z.string().min(16) });

/**
 * Secrets of a deployment, each in a file of its own that only its owner reads.
 * @throws CoatcheckError `secret_exposed` when others may read one.
 */
export async function openDataDirectory(directory: string) {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
  const appFile = path.join(directory, 'app.json');

  async function read(file: string): Promise<string | null> {
    const facts = await stat(file).catch(() => null);
    if (facts === null) return null;
    if ((facts.mode & 0o077) !== 0) {
      throw new CoatcheckError('secret_exposed', `${file} may be read by others than its owner.`, `Run: chmod 600 ${file}`);
    }
    return readFile(file, 'utf8');
  }

  return {
    directory,

    /** A secret that is made at first use and stays: 256 random bits. */
    async secret(name: string): Promise<string> {
      const file = path.join(directory, `${name}.secret`);
      const draft = `${file}.${process.pid}`;
      await writeFile(draft, randomBytes(32).toString('base64url'), { mode: 0o600 });
      // Of two processes that start at once one makes it, and both use it.
      await link(draft, file).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
      await rm(draft);
      const text = await read(file);
      if (text === null) throw new CoatcheckError('secret_missing', `${file} was removed.`, 'Start again.');
      return text;
    },

    /** The App that the first-start page created; null before. */
    async app(): Promise<AppCredentials | null> {
      const text = await read(appFile);
      return text === null ? null : App.parse(JSON.parse(text));
    },

    async keepApp(app: AppCredentials): Promise<void> {
      await writeFile(appFile, JSON.stringify(App.parse(app)), { mode: 0o600, flag: 'wx' });
    },
  };
}
export type DataDirectory = Awaited<ReturnType<typeof openDataDirectory>>;
