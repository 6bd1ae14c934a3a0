import { parse } from 'yaml';
import { z } from 'zod';
import { CoatcheckError } from '../errors.ts';

/** app.yml: what the App is, without the addresses that differ from one deployment to the next. */
export const AppFile = z.strictObject({
  name: z.string().min(1).max(34),
  description: z.string(),
  url: z.url(),
  public: z.literal(false),
  default_permissions: z.record(z.string(), z.enum(['read', 'write'])),
  default_events: z.array(z.string()).min(1),
});
export type AppFile = z.infer<typeof AppFile>;

export interface Manifest extends AppFile {
  hook_attributes: { url: string; active: boolean };
  redirect_url: string;
}

/** @throws CoatcheckError `app_file_invalid` */
export function readAppFile(text: string): AppFile {
  const read = AppFile.safeParse(parse(text));
  if (read.success) return read.data;
  throw new CoatcheckError(
    'app_file_invalid',
    `app.yml cannot be used: ${z.prettifyError(read.error)}`,
    'Correct app.yml and start again.',
  );
}

/**
 * The manifest that GitHub makes the App from. The hook is active also where deliveries are polled: GitHub keeps only those
 * for the deliveries API that it tried to send. https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
 */
export function buildManifest(file: AppFile, addresses: { publicUrl: string; hookUrl: string; name?: string }): Manifest {
  return {
    ...file,
    name: addresses.name ?? file.name,
    hook_attributes: { url: addresses.hookUrl, active: true },
    redirect_url: `${addresses.publicUrl}/setup/callback`,
  };
}

/** The pages that belong to an API address: github.com to api.github.com, else the same host without `/api/v3`. */
export function webUrlOf(apiUrl: string): string {
  const url = new URL(apiUrl);
  if (url.host === 'api.github.com') return 'https://github.com';
  return `${url.origin}${url.pathname.replace(/\/api\/v3\/?$/, '')}`.replace(/\/$/, '');
}
