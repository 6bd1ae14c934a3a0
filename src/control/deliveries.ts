import { ulid } from 'ulid';
import { z } from 'zod';
import { CoatcheckError, errorText } from '../errors.ts';
import type { GitHub } from '../github/github.ts';
import { type OperatorConfig, servesInstallation } from '../policy/operator-config.ts';
import type { Delivery, Waiting } from '../store/deliveries.ts';
import type { Store } from '../store/store.ts';
import { shortId, type Task } from '../task/task.ts';
import { readDelivery } from '../triggers/read-delivery.ts';
import type { RefusedTrigger, StopTrigger, TaskTrigger, TriggerSettings } from '../triggers/trigger.ts';
import { digestOf } from './fencing.ts';
import type { Follow } from './follow.ts';
import { dailyCapReached } from './model-access.ts';
import { MAY_WRITE } from './permission.ts';
import type { Recorder } from './record.ts';
import { serialised } from './serialised.ts';

export interface DeliveriesOptions {
  readonly store: Store;
  readonly recorder: Recorder;
  readonly github: GitHub;
  readonly follow: Follow;
  readonly settings: TriggerSettings;
  readonly operator: OperatorConfig;
  /** Resolves the task's policy and wakes a host, or ends the task with the reason. */
  readonly prepare: (task: Task) => Promise<void>;
  readonly stop: (task: string, by: string) => Promise<'stopping' | 'too_late'>;
  readonly trouble: (text: string) => void;
}

const GIVE_UP_MS = 24 * 60 * 60_000;

/** An issue, and who asked for something on it. */
type Place = NonNullable<RefusedTrigger['at']>;

/** Whether the operator serves the installation that a delivery came from. */
const serves = (operator: OperatorConfig, source: Pick<Place, 'installation' | 'repository'>): boolean =>
  servesInstallation(operator, { id: source.installation, login: source.repository.owner });

/** Deliveries of one repository are worked through in turn. */
const Source = z.looseObject({ repository: z.looseObject({ id: z.int() }) });
const repositoryOf = (delivery: Delivery): string => String(Source.safeParse(delivery.payload).data?.repository.id ?? 'none');

/**
 * Takes deliveries in and works them through. Taking in is one write to the store, so the front door answers at once;
 * the rest happens afterwards, one delivery after the other for each repository, and is taken up again after a restart.
 */
export function openDeliveries(options: DeliveriesOptions) {
  const { store, recorder, github, follow } = options;
  const inTurn = serialised();
  const underway = new Map<string, Promise<void>>();
  let looking: Promise<void> | null = null;
  let again = false;
  let closed = false;

  /** Says on the issue why nothing is started, once for each reason and asker. */
  async function refuse(at: Place, why: string, code: string): Promise<string> {
    const key = `refused/${at.repository.id}/${at.issue}/${at.actor.id}/${code}`;
    if (!(await store.notices.said(key))) {
      const installation = github.installation(at.installation);
      await installation.createComment(at.repository, at.issue, `Not started: ${why}`, digestOf(key).slice(0, 16));
      // Only now: a comment that GitHub does not take is tried again with its delivery, and found by its marker.
      await store.notices.keep(key);
    }
    return `refused: ${why}`;
  }

  /** Why this actor may not hand in work here, or their permission. */
  async function permission(trigger: TaskTrigger | StopTrigger): Promise<{ may: boolean; role: string; at: string }> {
    const role = await github
      .installation(trigger.installation)
      .permissionOf(trigger.repository, trigger.actor.login, trigger.actor.id);
    return { may: MAY_WRITE.has(role), role, at: new Date().toISOString() };
  }

  async function start(delivery: Delivery, trigger: TaskTrigger): Promise<string> {
    const { repository, actor, issue } = trigger;
    const at = { ...trigger, issue: issue.number };
    const allowed = await permission(trigger);
    if (!allowed.may) {
      const why = `@${actor.login} has “${allowed.role}” permission on this repository, and handing in work needs write.`;
      return refuse(at, why, 'permission');
    }
    const full = dailyCapReached(options.operator, await store.usage.today(trigger.installation), 1);
    if (full !== null)
      return refuse(at, `${full}. Trigger it again tomorrow (UTC).`, `daily/${new Date().toISOString().slice(0, 10)}`);
    const installation = github.installation(trigger.installation);
    const base = await installation.baseOf(repository).catch((error: unknown) => {
      if (error instanceof CoatcheckError && error.code === 'repository_empty') return null;
      throw error;
    });
    if (base === null)
      return refuse(at, 'the repository has no commit to start from. Push a first commit, then trigger it again.', 'empty');

    const id = ulid().toLowerCase();
    const task: Task = {
      id,
      installation: trigger.installation,
      repository,
      actor,
      issue,
      base,
      branch: `coatcheck/issue-${issue.number}-${shortId(id)}`,
      state: 'queued',
      reason: null,
      message: 'Reading the repository’s rules.',
      createdAt: new Date().toISOString(),
      endedAt: null,
    };
    const created = await store.tasks.create(task, delivery.guid);
    const takeLabelOff = async (): Promise<void> => {
      if (trigger.label !== undefined) await installation.removeLabel(repository, issue.number, trigger.label);
    };
    if (created.kind === 'duplicate') {
      // Left on, it could not be put on again for another task after this one's end.
      await takeLabelOff();
      return `duplicate of ${created.task.id}`;
    }
    const mine = created.kind === 'again' ? created.task : task;
    if (created.kind === 'created') {
      await recorder.control(
        { task: id, attempt: 1 },
        {
          type: 'task.accepted',
          trigger: trigger.trigger,
          delivery: delivery.guid,
          payloadDigest: delivery.payloadDigest,
          actor,
          permission: allowed.role,
          permissionCheckedAt: allowed.at,
          repository: `${repository.owner}/${repository.name}`,
          issue: issue.number,
          issueDigest: digestOf(JSON.stringify([issue.title, issue.body])),
          hiddenSpansRemoved: issue.hiddenSpansRemoved,
          base,
        },
        'github',
      );
    }
    await follow.react(mine, 'eyes');
    await takeLabelOff();
    await options.prepare(mine);
    return `task ${mine.id}`;
  }

  async function stop(trigger: StopTrigger): Promise<string> {
    const open = await store.tasks.openOn(trigger.repository.id, trigger.issue);
    const installation = github.installation(trigger.installation);
    if (open === null) {
      await installation.react(trigger.repository, { kind: 'comment', id: trigger.commentId }, 'confused');
      return 'nothing to stop';
    }
    const allowed = await permission(trigger);
    if (!allowed.may) {
      return refuse(
        trigger,
        `@${trigger.actor.login} has “${allowed.role}” permission here, and stopping a task needs write.`,
        'stop',
      );
    }
    const answer = await options.stop(open.task.id, trigger.actor.login);
    await installation.react(
      trigger.repository,
      { kind: 'comment', id: trigger.commentId },
      answer === 'stopping' ? 'eyes' : 'confused',
    );
    return answer;
  }

  async function work(delivery: Delivery): Promise<string> {
    const trigger = readDelivery(delivery.event, delivery.payload, options.settings);
    if (trigger.kind === 'ignored') return `ignored: ${trigger.why}`;
    const source = trigger.kind === 'refused' ? trigger.at : trigger;
    // Before any task, token or model call, and so also before anything is said.
    if (source !== null && !serves(options.operator, source)) {
      options.trouble(`Installation ${source.installation} is not on the operator's list; delivery ${delivery.guid} is refused.`);
      return 'refused: the installation is not on the operator’s list';
    }
    switch (trigger.kind) {
      case 'task':
        return start(delivery, trigger);
      case 'stop':
        return stop(trigger);
      case 'refused':
        return trigger.at === null ? `refused: ${trigger.why}` : refuse(trigger.at, trigger.why, 'trigger');
    }
  }

  /** Takes up what waits: one after the other for each repository, so that what hangs at one holds up no other. */
  async function takeUp(): Promise<void> {
    for (const delivery of await store.deliveries.waiting()) {
      if (closed) return;
      if (underway.has(delivery.guid)) continue;
      const done = inTurn(repositoryOf(delivery), () => workThrough(delivery))
        .catch((error: unknown) => options.trouble(`deliveries: ${errorText(error)}`))
        .finally(() => underway.delete(delivery.guid));
      underway.set(delivery.guid, done);
    }
  }

  /** One that cannot be worked through now stays for the next round. */
  async function workThrough(delivery: Waiting): Promise<void> {
    // It may have been listed just before its end was stored.
    if (closed || (await store.deliveries.outcome(delivery.guid)) !== null) return;
    try {
      await store.deliveries.done(delivery.guid, await work(delivery));
    } catch (error) {
      await tryAgainOrGiveUp(delivery, errorText(error));
    }
  }

  /** Whatever GitHub's trouble is, after a day nobody waits for the answer any more. */
  async function tryAgainOrGiveUp(delivery: Waiting, why: string): Promise<void> {
    const over = Date.now() - Date.parse(delivery.receivedAt) > GIVE_UP_MS;
    options.trouble(`delivery ${delivery.guid} (${delivery.event}) ${over ? 'is given up' : 'is tried again later'}: ${why}`);
    if (over) await store.deliveries.done(delivery.guid, `given up: ${why}`);
  }

  function wake(): void {
    again = true;
    if (looking !== null || closed) return;
    looking = (async () => {
      try {
        while (again && !closed) {
          again = false;
          await takeUp();
        }
      } catch (error) {
        options.trouble(`deliveries: ${errorText(error)}`);
      } finally {
        // In one go with the last question for more: whoever asks after it begins a new look.
        looking = null;
      }
    })();
  }

  return {
    /** Keeps a delivery; the answer to GitHub is given on the strength of this. False for one that is known already. */
    async accept(delivery: Delivery): Promise<boolean> {
      const fresh = await store.deliveries.take(delivery);
      if (fresh) wake();
      return fresh;
    },
    wake,
    async close(): Promise<void> {
      closed = true;
      await looking;
      await Promise.all(underway.values());
    },
  };
}
export type Deliveries = ReturnType<typeof openDeliveries>;
