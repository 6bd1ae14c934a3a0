import type { IncomingMessage, ServerResponse } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import type { Logger } from 'pino';
import type { SigningKey } from '../audit/key.ts';
import { Redactor } from '../audit/redact.ts';
import { errorText } from '../errors.ts';
import type { GitNetwork } from '../git/remote.ts';
import type { GitHub } from '../github/github.ts';
import { modelDispatcher } from '../model/dispatcher.ts';
import { createModelGateway } from '../model/gateway.ts';
import type { OperatorConfig } from '../policy/operator-config.ts';
import type { Preset } from '../policy/presets.ts';
import type { Queue } from '../queue/queue.ts';
import type { Delivery } from '../store/deliveries.ts';
import type { Store } from '../store/store.ts';
import type { Task } from '../task/task.ts';
import type { TriggerSettings } from '../triggers/trigger.ts';
import { openAttempts } from './attempts.ts';
import { begin } from './begin.ts';
import { openChanges } from './changes.ts';
import { checkRuns } from './check-run.ts';
import { conclude } from './conclude.ts';
import { openCredentials, type RuleSecret } from './credentials.ts';
import { openDeliveries } from './deliveries.ts';
import { openFollow } from './follow.ts';
import { openGrants } from './grants.ts';
import { hostApi } from './host-api.ts';
import { leases } from './leases.ts';
import { modelPart, type Provider } from './model-access.ts';
import { readOrganisation } from './organisation.ts';
import { pages, taskPath } from './pages.ts';
import type { ControlParts } from './parts.ts';
import { openRecorder } from './record.ts';
import { serialised } from './serialised.ts';
import { stopTask } from './stop.ts';
import { startWatch } from './watch.ts';

/** Where hosts' doors find the model gateway below the control plane's own address. */
const MODEL_PATH = '/model';

export interface ControlOptions {
  readonly log: Logger;
  readonly directory: string;
  readonly store: Store;
  readonly queue: Queue;
  readonly github: GitHub;
  readonly key: SigningKey;
  readonly operator: OperatorConfig;
  readonly presets: ReadonlyMap<string, Preset>;
  readonly providers: ReadonlyMap<string, Provider>;
  /** Credentials of the policy's grants, by their ids. */
  readonly registries: ReadonlyMap<string, RuleSecret>;
  readonly settings: TriggerSettings;
  readonly identity: { readonly name: string; readonly email: string };
  /** How git reaches GitHub. */
  readonly network: GitNetwork;
  /** The part of GitHub's address that comes before `/OWNER/NAME.git`. */
  readonly gitUrl: string;
  readonly apiUrl: string;
  /** Where people reach the control plane. */
  readonly publicUrl: string;
  /** Where hosts reach it. */
  readonly controlUrl: string;
  readonly hostKey: string;
  readonly linkKey: string;
  readonly openPages: boolean;
  /** Secrets that must never be in a record: the App's key, model keys. */
  readonly secrets: readonly string[];
  readonly proxy: string | null;
  readonly authorities: string;
  /** How long a host may be silent before its attempt is taken for lost. */
  readonly leaseMs: number;
}

export interface Control {
  /** Keeps a delivery that has been verified; false when it is known already. */
  accept(delivery: Delivery): Promise<boolean>;
  /** Everything the control plane answers over HTTP but for the front door. */
  readonly handler: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  close(): Promise<void>;
}

/** Puts the control plane together, takes up what an earlier process left unfinished, and watches from then on. */
export async function startControl(options: ControlOptions): Promise<Control> {
  const { log, store, github, queue, directory } = options;
  const ending = new AbortController();
  const trouble = (text: string) => log.warn(text);
  const inTurn = serialised();
  const background = new Set<Promise<void>>();

  const pageOf = (task: string) => `${options.publicUrl}${taskPath(options.linkKey, task)}`;
  const recorder = openRecorder({
    store,
    redactorOf: async ({ task, attempt }) => {
      const live = await store.credentials.live(task, attempt);
      return new Redactor([...options.secrets, ...live.map((credential) => credential.secret)]);
    },
  });
  const credentials = openCredentials({ store, recorder, github, registries: options.registries });
  const follow = openFollow({ store, recorder, github, directory, pageOf, trouble });
  const changes = openChanges({ directory });
  const repositoryUrl = (repository: { owner: string; name: string }) =>
    `${options.gitUrl}/${repository.owner}/${repository.name}.git`;
  const parts: ControlParts = {
    log,
    directory,
    store,
    recorder,
    github,
    credentials,
    follow,
    changes,
    checks: checkRuns({ store, recorder, github, pageOf, directory }),
    key: options.key,
    identity: options.identity,
    remoteOf: (repository, token) => ({ url: repositoryUrl(repository), token, network: options.network }),
    pageOf,
    // The watch wakes again: an attempt that waits in the store is not lost with Redis.
    wake: ({ task, attempt }) => queue.wake(task, attempt).catch((error: unknown) => trouble(errorText(error))),
    signal: ending.signal,
    publishing: (task, work) => inTurn(`publish/${task}`, work),
  };

  /** In the background and one at a time per task; what fails is taken up again by the watch. */
  function concludeLater(task: string, attempt: number): void {
    const work = inTurn(`conclude/${task}`, () => conclude(parts, { task, attempt }))
      .catch((error: unknown) => trouble(`concluding ${task}: ${errorText(error)}`))
      .finally(() => background.delete(work));
    background.add(work);
  }

  const held = leases(options.leaseMs);
  const attempts = openAttempts({
    store,
    recorder,
    leases: held,
    credentials,
    grants: openGrants({ credentials, repositoryUrl }),
    changes,
    modelUrl: () => `${options.controlUrl}${MODEL_PATH}`,
    repositoryUrl,
    handedOver: (ref) => concludeLater(ref.task, ref.attempt),
    started: (ref) => follow.touch(ref.task),
    signal: ending.signal,
  });
  const stopFollowing = recorder.follow((ref) => follow.touch(ref.task));

  const githubUrls = { apiUrl: options.apiUrl, webUrl: options.gitUrl };
  const rules = {
    github,
    operator: options.operator,
    presets: options.presets,
    organisationOf: (task: Task) => readOrganisation(credentials, { task: task.id, attempt: 1 }, task),
    githubUrls,
  };
  const deliveries = openDeliveries({
    store,
    recorder,
    github,
    follow,
    settings: options.settings,
    operator: options.operator,
    prepare: (task) => begin(parts, rules, task, concludeLater),
    stop: (task, by) => stopTask(parts, task, by, concludeLater),
    trouble,
  });
  const watch = startWatch({ parts, leases: held, conclude: concludeLater, deliveries: deliveries.wake });

  const dispatcher = modelDispatcher({
    proxy: options.proxy,
    authorities: options.authorities === '' ? [] : [options.authorities],
  });
  const gateway = createModelGateway({
    ...modelPart({ store, recorder, operator: options.operator, providers: options.providers }),
    prefix: MODEL_PATH,
    dispatcher,
    signal: ending.signal,
  });
  const app = new Hono();
  app.get('/healthz', (c) => c.text('ok\n'));
  app.route('/', hostApi({ hostKey: options.hostKey, attempts, trouble }));
  app.route('/', pages({ store, recorder, linkKey: options.linkKey, open: options.openPages, directory, signal: ending.signal }));
  const listener = getRequestListener(app.fetch);

  return {
    accept: deliveries.accept,
    handler: async (request, response) => {
      if (request.url?.startsWith(`${MODEL_PATH}/`)) {
        await gateway(request, response).catch((error: unknown) => trouble(`model gateway: ${errorText(error)}`));
        return;
      }
      await listener(request, response);
    },
    async close() {
      ending.abort();
      stopFollowing();
      await deliveries.close();
      await watch.close();
      await Promise.all(background);
      await follow.close();
      await dispatcher.close();
    },
  };
}
