/**
 * Making an App from a manifest and installing it, by the steps that a person takes in a browser.
 * https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
 */
import { randomBytes } from 'node:crypto';
import { html } from 'hono/html';
import { z } from 'zod';
import { runVerb } from '../control.ts';
import { makeApp } from '../making.ts';
import type { ControlContext } from '../verb.ts';
import { frame, type Html } from './layout.ts';

const Manifest = z.looseObject({
  name: z.string().optional(),
  redirect_url: z.url().optional(),
  hook_attributes: z.looseObject({ url: z.string(), active: z.boolean().default(true) }).optional(),
  default_permissions: z.record(z.string(), z.enum(['read', 'write', 'admin'])).default({}),
  default_events: z.array(z.string()).default([]),
});

const heading = html`<span class="name"><span class="brand">forge</span>Settings</span>`;

export function manifestPage(form: URLSearchParams, state: string): Html {
  const text = form.get('manifest') ?? '{}';
  const manifest = Manifest.parse(JSON.parse(text));
  const permissions = Object.entries(manifest.default_permissions);
  return frame(
    'Create GitHub App',
    heading,
    html`<h1>Create GitHub App</h1><p><strong>${manifest.name ?? 'unnamed'}</strong> asks for:</p>
      <ul>${permissions.map(([name, level]) => html`<li>${name}: ${level}</li>`)}</ul><p>Events: ${manifest.default_events.join(', ') || 'none'}</p>
      <form method="post" action="/settings/apps/create"><input type="hidden" name="manifest" value="${text}"><input type="hidden" name="state" value="${state}"><button>Create GitHub App</button></form>`,
  );
}

/** Makes the App; gives where the browser goes next, with the code that fetches the keys once. */
export async function createFromManifest({ world }: ControlContext, form: URLSearchParams): Promise<string> {
  const manifest = Manifest.parse(JSON.parse(form.get('manifest') ?? '{}'));
  const slug = (manifest.name ?? 'app').toLowerCase().replace(/[^a-z0-9]+/g, '-');
  const made = await makeApp(world, {
    slug,
    owner: 'forge-owner',
    webhookUrl: manifest.hook_attributes?.active ? manifest.hook_attributes.url : null,
    webhookSecret: randomBytes(20).toString('hex'),
    permissions: manifest.default_permissions,
    events: manifest.default_events,
  });
  const code = randomBytes(20).toString('hex');
  world.manifests.set(code, made);
  const next = new URL(manifest.redirect_url ?? `${world.url}/apps/${slug}`);
  next.searchParams.set('code', code);
  if (form.get('state')) next.searchParams.set('state', form.get('state') ?? '');
  return next.href;
}

export function appPage({ world }: ControlContext, slug: string): Html | null {
  const app = world.apps.find((known) => known.slug === slug);
  if (!app) return null;
  const owners = world.accounts.filter((account) => world.repositories.some((repository) => repository.owner === account));
  return frame(
    app.slug,
    heading,
    html`<h1>${app.slug}</h1><p>Install on all repositories of:</p>${owners.map(
      (owner) =>
        html`<form method="post" action="/apps/${app.slug}/installations/new"><input type="hidden" name="owner" value="${owner.login}"><button>${owner.login}</button></form><br>`,
    )}`,
  );
}

export async function installApp(context: ControlContext, slug: string, form: URLSearchParams): Promise<void> {
  await runVerb(context, 'install', { app: slug, owner: form.get('owner') ?? '' });
}
