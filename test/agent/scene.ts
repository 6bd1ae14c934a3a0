import type { TestContext } from 'node:test';
import { Budget } from '../../src/agent/budget.ts';
import { builtinHarness } from '../../src/agent/builtin.ts';
import { makeFence } from '../../src/agent/fence.ts';
import type { AgentContext } from '../../src/agent/harness.ts';
import type { HostEvent } from '../../src/audit/events.ts';
import { WorkOrder } from '../../src/task/work-order.ts';
import { localSandbox } from './local-sandbox.ts';
import { type Answer, scriptedDoor } from './scripted-door.ts';

export const FENCE = 'f00dfeed';

export function workOrder(change: Partial<WorkOrder> = {}): WorkOrder {
  return WorkOrder.parse({
    task: '01kahk5q0h8v7x3m2n4p6r8s9t',
    attempt: 1,
    repository: { id: 1, owner: 'octo', name: 'sample', private: false, defaultBranch: 'main' },
    base: { ref: 'main', sha: 'a'.repeat(40) },
    issue: {
      number: 7,
      title: 'It is broken',
      body: 'Please mend it.',
      author: { id: 2, login: 'reader' },
      hiddenSpansRemoved: 0,
    },
    ruleFile: null,
    commands: [],
    yardstick: { tests: [], definitions: [] },
    protectedPaths: [],
    model: { name: 'm', dialect: 'anthropic-messages' },
    image: 'none',
    runtime: 'runsc',
    capabilities: [],
    github: { apiUrl: 'https://api.github.test', webUrl: 'https://github.test' },
    egress: [],
    quarantine: {},
    limits: {},
    ...change,
  });
}

/** A harness, a local sandbox and a scripted model, all released with the test; waits are counted, not waited. */
export async function scene(
  t: TestContext,
  answers: Answer[],
  options: { dialect?: 'anthropic-messages' | 'openai-chat'; work?: Partial<WorkOrder>; turns?: number; tokens?: number } = {},
) {
  const dialect = options.dialect ?? 'anthropic-messages';
  const sandbox = await localSandbox();
  const door = await scriptedDoor(dialect, answers);
  t.after(async () => {
    await door[Symbol.asyncDispose]();
    await sandbox.close();
  });
  const events: HostEvent[] = [];
  const waits: number[] = [];
  const controller = new AbortController();
  const work = workOrder(options.work);
  const context: AgentContext = {
    sandbox,
    work,
    model: { doorSocket: door.socket, dialect, name: 'm' },
    budget: new Budget({ turns: options.turns ?? work.limits.turns, tokens: options.tokens ?? work.limits.tokens }),
    emit: (event) => events.push(event),
    signal: controller.signal,
  };
  const sleep = async (ms: number) => {
    waits.push(ms);
  };
  const harness = builtinHarness({ sleep, random: () => 0, fence: makeFence(FENCE) });
  return { sandbox, door, events, waits, context, harness, controller };
}
