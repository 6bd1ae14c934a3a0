import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Hono } from 'hono';
import { html, raw } from 'hono/html';
import { secureHeaders } from 'hono/secure-headers';
import { streamSSE } from 'hono/streaming';
import type { Store } from '../store/store.ts';
import type { TaskEntry } from '../store/tasks.ts';
import { isEnd } from '../task/task.ts';
import { sameSecret } from './fencing.ts';
import { LIVE_SCRIPT, STYLE } from './page-assets.ts';
import type { Recorder } from './record.ts';
import { recordFile } from './seal-record.ts';
import { type ShownAttempt, taskBody } from './task-body.ts';
import { STATE_WORDS, taskTitle } from './words.ts';

export interface PagesOptions {
  readonly store: Store;
  readonly recorder: Recorder;
  /** The data directory. */
  readonly directory: string;
  /** Makes the links by which a task's page is reached: who has the link may read the page. */
  readonly linkKey: string;
  /** Everything without links; only on a loopback listener. */
  readonly open: boolean;
  readonly signal: AbortSignal;
}

const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost', '[::1]']);

type Html = ReturnType<typeof html>;

const page = (title: string, body: Html): Html => html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${title} · coatcheck</title>
<link rel="stylesheet" href="/assets/style.css">
</head>
<body>${body}</body>
</html>`;

/** The path of a task's page; it names a right to read, so it goes only where the repository's readers look. */
export function taskPath(linkKey: string, task: string): string {
  return `/tasks/${task}/${createHmac('sha256', linkKey).update(task).digest('base64url').slice(0, 32)}`;
}

/** The attempt that a page shows: the newest. */
async function newest(options: PagesOptions, { task }: TaskEntry): Promise<ShownAttempt> {
  const latest = await options.store.attempts.latest(task.id);
  const attempt = latest?.number ?? 1;
  const events = await options.recorder.read({ task: task.id, attempt });
  return { attempt, events, sealed: latest?.sealedAt != null, path: taskPath(options.linkKey, task.id) };
}

/**
 * The task pages: rendered here, readable without scripts; with scripts they follow along by server-sent events.
 * Nothing that a sandbox or an agent wrote is ever more than escaped text on them.
 */
export function pages(options: PagesOptions): Hono {
  const { store, recorder } = options;
  const app = new Hono();
  app.use(
    secureHeaders({
      contentSecurityPolicy: {
        defaultSrc: ["'none'"],
        styleSrc: ["'self'"],
        scriptSrc: ["'self'"],
        connectSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
      referrerPolicy: 'no-referrer',
    }),
  );

  // Without links anybody who connects may read, so only a browser that knows us by a loopback name is answered: a foreign
  // name that was made to lead here is somebody's trick.
  app.use(async (c, next) => {
    const { hostname } = new URL(c.req.url);
    return options.open && !LOOPBACK.has(hostname) ? c.text('Use the loopback address.', 421) : next();
  });

  /** The task that a path may read, or null. */
  async function readable(id: string, link: string): Promise<TaskEntry | null> {
    if (!options.open && !sameSecret(`/tasks/${id}/${link}`, taskPath(options.linkKey, id))) return null;
    return store.tasks.find(id);
  }

  app.get('/assets/style.css', (c) => c.body(STYLE, 200, { 'content-type': 'text/css; charset=utf-8' }));
  app.get('/assets/live.js', (c) => c.body(LIVE_SCRIPT, 200, { 'content-type': 'text/javascript; charset=utf-8' }));

  app.get('/tasks', async (c) => {
    if (!options.open) return c.notFound();
    const entries = await store.tasks.newest(100);
    const rows = entries.map(
      ({ task }) => html`<tr>
        <td><a href="${taskPath(options.linkKey, task.id)}">${taskTitle(task)}</a></td>
        <td>${task.issue.title}</td>
        <td class="state ${task.state}">${STATE_WORDS[task.state]}</td>
        <td><time>${task.createdAt}</time></td></tr>`,
    );
    const table = html`<table><thead><tr><th>Issue</th><th>Title</th><th>State</th><th>Since</th></tr></thead><tbody>${rows}</tbody></table>`;
    return c.html(page('Tasks', html`<main><h1>Tasks</h1>${entries.length === 0 ? html`<p>No task yet.</p>` : table}</main>`));
  });

  app.get('/tasks.json', async (c) => {
    if (!options.open) return c.notFound();
    const entries = await store.tasks.newest(100);
    return c.json(entries.map(({ task, traces }) => ({ task, traces, page: taskPath(options.linkKey, task.id) })));
  });

  app.get('/tasks/:id/:link', async (c) => {
    const entry = await readable(c.req.param('id'), c.req.param('link'));
    if (entry === null) return c.notFound();
    const body = taskBody(entry, await newest(options, entry));
    const live = isEnd(entry.task.state)
      ? raw('')
      : html`<noscript><meta http-equiv="refresh" content="3"></noscript><script src="/assets/live.js" defer></script>`;
    return c.html(page(taskTitle(entry.task), html`<main id="task" data-live="${c.req.path}">${body}</main>${live}`));
  });

  app.get('/tasks/:id/:link/body', async (c) => {
    const entry = await readable(c.req.param('id'), c.req.param('link'));
    return entry === null ? c.notFound() : c.html(taskBody(entry, await newest(options, entry)));
  });

  app.get('/tasks/:id/:link/diff', async (c) => {
    const entry = await readable(c.req.param('id'), c.req.param('link'));
    if (entry?.diff == null) return c.notFound();
    return c.body(entry.diff, 200, {
      'content-type': 'text/plain; charset=utf-8',
      'content-disposition': 'attachment; filename="change.diff"',
    });
  });

  app.get('/tasks/:id/:link/record', async (c) => {
    const entry = await readable(c.req.param('id'), c.req.param('link'));
    const attempt = entry === null ? null : await store.attempts.latest(entry.task.id);
    if (attempt?.sealedAt == null) return c.notFound();
    const ref = { task: attempt.task, attempt: attempt.number };
    const name = path.basename(recordFile(options.directory, ref));
    return c.body(await readFile(recordFile(options.directory, ref), 'utf8'), 200, {
      'content-type': 'application/jsonl; charset=utf-8',
      'content-disposition': `attachment; filename="${name}"`,
    });
  });

  app.get('/tasks/:id/:link/events', async (c) => {
    const entry = await readable(c.req.param('id'), c.req.param('link'));
    if (entry === null) return c.notFound();
    return streamSSE(c, (stream) => followTask(stream, options, entry.task.id, Number(c.req.header('last-event-id') ?? -1)));
  });
  return app;

  /** Sends every event of the newest attempt as it is recorded, and says `end` once the task has one and is sealed. */
  async function followTask(
    stream: {
      writeSSE(message: { event?: string; id?: string; data: string }): Promise<void>;
      onAbort(listener: () => void): void;
      aborted: boolean;
    },
    { signal }: PagesOptions,
    task: string,
    after: number,
  ): Promise<void> {
    let ring: () => void = () => {};
    const stopListening = recorder.follow((ref) => {
      if (ref.task === task) ring();
    });
    const wake = () => ring();
    stream.onAbort(wake);
    signal.addEventListener('abort', wake);
    let attempt = (await store.attempts.latest(task))?.number ?? 1;
    let sent = after;
    try {
      while (!stream.aborted && !signal.aborted) {
        // Listening begins before reading: an event that comes in between rings the bell of the next round.
        const rung = new Promise<void>((resolve) => {
          ring = resolve;
        });
        const latest = await store.attempts.latest(task);
        if (latest !== null && latest.number !== attempt) {
          attempt = latest.number;
          sent = -1;
        }
        for (const event of await recorder.read({ task, attempt }, sent + 1)) {
          await stream.writeSSE({ event: 'recorded', id: String(event.seq), data: JSON.stringify(event) });
          sent = event.seq;
        }
        const { task: now, traces } = await store.tasks.get(task);
        if (isEnd(now.state) && latest?.sealedAt != null) {
          const record = recordFile(options.directory, { task, attempt });
          await stream.writeSSE({ event: 'end', data: JSON.stringify({ task: now, traces, attempt, record }) });
          return;
        }
        await Promise.race([rung, tick()]);
      }
    } finally {
      stopListening();
      signal.removeEventListener('abort', wake);
    }
  }
}

/** Sealing writes no event, so a follower also looks by itself now and then. */
const tick = () =>
  new Promise<void>((resolve) => {
    setTimeout(resolve, 1000).unref();
  });
