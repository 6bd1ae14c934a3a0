import { createPublicKey } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { startScriptedModel } from '../../../test/model/model.ts';
import { Sample, sampleScript } from '../../../test/model/samples.ts';
import type { RecordedEvent } from '../../audit/events.ts';
import { PUBLIC_FILE } from '../../audit/key.ts';
import { duration } from '../../audit/markdown.ts';
import { costLine } from '../../audit/render.ts';
import { verifyRecord } from '../../audit/verify.ts';
import { modelEndpoint } from '../../config.ts';
import { plainText, STATE_WORDS } from '../../control/words.ts';
import { CoatcheckError } from '../../errors.ts';
import { type Deployment, HUMAN, OWNER, startDeployment } from './deployment.ts';
import { followTask, type TaskEnd, taskOn } from './follow.ts';
import { judged, type Summary, summarise } from './summary.ts';
import { terminal } from './terminal.ts';

const ROOT = path.join(import.meta.dirname, '..', '..', '..');
const LABEL = 'coatcheck';

export const QuickstartOptions = z
  .strictObject({
    sample: Sample.default('node'),
    repo: z.string().optional(),
    issue: z.string().optional(),
    model: z.string().optional(),
    keep: z.boolean().default(false),
    json: z.boolean().default(false),
  })
  .refine((options) => options.repo === undefined || (options.issue !== undefined && options.model !== undefined), {
    message: '--repo needs --issue "text" and --model NAME: the scripted model knows only the samples.',
  })
  .refine((options) => options.issue === undefined || options.repo !== undefined, { message: '--issue needs --repo PATH.' });
export type QuickstartOptions = z.infer<typeof QuickstartOptions>;

type Write = (line: string) => void;

/** Runs the main job once, on the forge, and shows it: an issue in, a verified pull request with its record out. */
export async function quickstart(options: QuickstartOptions, write: Write, signal: AbortSignal): Promise<Summary> {
  const below = path.join(ROOT, '.coatcheck', 'quickstart');
  await mkdir(below, { recursive: true });
  const subject = await chooseSubject(options);
  const directory = await mkdtemp(path.join(below, `${new Date().toISOString().slice(0, 19).replaceAll(':', '')}-`));
  await using stack = new AsyncDisposableStack();

  const model = await chooseModel(options, stack, write);
  const deployment = await startDeployment({ directory, model });
  stack.defer(() => deployment.close());
  const { forge, url } = deployment;
  write(`GitHub’s place is taken by the forge on ${forge.url}; coatcheck is on ${url}/tasks`);

  const { name } = subject;
  await forge.createRepository({ owner: OWNER, name, collaborators: { [HUMAN]: 'write' }, ...subject.source });
  const repository = `${OWNER}/${name}`;
  const { number } = await forge.createIssue({ repository, as: HUMAN, title: subject.title, body: subject.body });
  write(`issue ${forge.url}/${repository}/issues/${number}: ${subject.title}`);

  const startedAt = performance.now();
  await forge.labelIssue({ repository, number, as: HUMAN, label: LABEL });
  write(`labelled “${LABEL}” by ${HUMAN}`);
  const { page } = await taskOn(url, repository, number, signal);
  write(`task page ${page}\n`);
  const events: RecordedEvent[] = [];
  const show = terminal(write);
  const end = await followTask(
    page,
    (event) => {
      events.push(event);
      show(event);
    },
    signal,
  );
  const totalMs = performance.now() - startedAt;
  const verified = await verifies(end, deployment);
  const summary = summarise(end, events, totalMs, verified);
  await conclude(summary, end, events, page, write);
  if (options.repo !== undefined) await sayHowToFetch(directory, options.repo, end, write);
  if (options.keep) await untilStopped(deployment, write, signal);
  return summary;
}

async function chooseModel(options: QuickstartOptions, stack: AsyncDisposableStack, write: Write) {
  if (options.model !== undefined) {
    const endpoint = modelEndpoint(options.model);
    write(`Code will go to ${endpoint.baseUrl}, to the model ${options.model}; nowhere else.`);
    return { ...endpoint, name: options.model };
  }
  const dialect = 'anthropic-messages' as const;
  const scripted = stack.use(await startScriptedModel({ dialect, script: await sampleScript(options.sample) }));
  write(
    `The model is scripted: it plays back a fixed solution over HTTP in the dialect ${dialect}. No code leaves this machine.`,
  );
  write('Use --model NAME for a real one.');
  return { dialect, baseUrl: scripted.url, apiKey: scripted.key, name: 'scripted', price: { input: 3, output: 15 } };
}

/** The repository to work on, and the issue. */
async function chooseSubject(options: QuickstartOptions) {
  if (options.repo !== undefined) {
    await checkRepository(options.repo);
    const [title = '', ...body] = (options.issue ?? '').split('\n');
    return {
      name: path.basename(path.resolve(options.repo)).replace(/[^\w.-]/g, '-'),
      title,
      body: body.join('\n').trim(),
      source: { fromPath: path.resolve(options.repo) },
    };
  }
  const home = path.join(ROOT, 'test', 'samples', options.sample);
  const [title = '', ...body] = (await readFile(path.join(home, 'issue.md'), 'utf8')).split('\n');
  return {
    name: `sample-${options.sample}`,
    title,
    body: body.join('\n').trim(),
    source: { files: await readTree(path.join(home, 'repository')) },
  };
}

async function checkRepository(repo: string): Promise<void> {
  const there = await Promise.allSettled([stat(path.join(repo, '.git')), stat(path.join(repo, 'HEAD'))]);
  if (there.some((result) => result.status === 'fulfilled')) return;
  throw new CoatcheckError(
    'no_repository',
    `${repo} is not the top folder of a git repository.`,
    'Give the folder that holds `.git`.',
  );
}

/** Every file below a folder, by its path. */
async function readTree(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  return Object.fromEntries(
    await Promise.all(files.map(async (file) => [path.relative(folder, file), await readFile(file, 'utf8')])),
  );
}

/** Checks the record offline, against the deployment's public key as an auditor would have received it. */
async function verifies(end: TaskEnd, deployment: Deployment): Promise<boolean> {
  const key = createPublicKey(await readFile(path.join(deployment.dataDirectory, PUBLIC_FILE), 'utf8'));
  return verifyRecord(await readFile(end.record), [key]).ok;
}

async function conclude(
  summary: Summary,
  end: TaskEnd,
  events: readonly RecordedEvent[],
  page: string,
  write: Write,
): Promise<void> {
  const { task } = end;
  write(`\n${STATE_WORDS[task.state]}. ${plainText(task.message)}\n`);
  if (summary.pull_request !== null) write(`pull request  ${summary.pull_request}`);
  if (summary.check_run !== null) write(`check run     ${summary.check_run}`);
  if (summary.head_sha !== null) write(`commit        ${summary.head_sha}`);
  for (const { phase, command, end: how, exitCode, ms } of judged(events)) {
    write(
      `verified      ${phase.replace('_', ' ').padEnd(10)}  ${how === 'exited' ? `exit ${exitCode}` : how}  ${duration(ms).padStart(7)}  ${plainText(command)}`,
    );
  }
  write(`cost          ${costLine(summary.cost)}`);
  write(
    `time          ${duration(summary.total_ms)} in all; ${duration(summary.overhead_ms)} of it coatcheck’s own, the rest model, commands and repository transfer`,
  );
  write(`record        ${summary.record}`);
  write(
    `              ${summary.record_verified ? 'intact: verified offline with the deployment’s public key' : 'DOES NOT VERIFY'}`,
  );
  const diff = await fetch(`${page}/diff`);
  if (diff.ok) write(`\n${plainText(await diff.text()).trimEnd()}\n`);
}

/** The user's repository is never touched: the branch is offered for fetching from the forge's copy. */
async function sayHowToFetch(directory: string, repo: string, end: TaskEnd, write: Write): Promise<void> {
  if (end.traces.commit === null) return;
  const copy = path.join(directory, 'forge', 'repositories', `${end.task.repository.id}.git`);
  write(`To have the branch: git -C ${repo} fetch ${copy} ${end.task.branch}`);
}

async function untilStopped({ forge, url }: Deployment, write: Write, signal: AbortSignal): Promise<void> {
  write(`\nAll is left running: ${forge.url} and ${url}/tasks. Ctrl-C ends it.`);
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}
