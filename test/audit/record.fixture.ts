import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { appendEvent, genesis } from '../../src/audit/chain.ts';
import type { ControlEvent, HostEvent, RecordedEvent, Witness } from '../../src/audit/events.ts';
import { openKey, type SigningKey } from '../../src/audit/key.ts';
import type { RecordFacts } from '../../src/audit/statement.ts';

export const TASK = '01jd3f7z0kq8m5v2x9c4b6n7ha';

export const facts: RecordFacts = {
  task: TASK,
  attempt: 1,
  repository: 'octo/sample',
  state: 'ready',
  reason: 'verified',
  commit: 'a'.repeat(40),
  pullRequest: { number: 7, url: 'https://forge.test/octo/sample/pull/7' },
  sealedAt: '2026-11-21T10:00:00.000Z',
};

const entries: readonly [Witness, HostEvent | ControlEvent][] = [
  ['control', { type: 'attempt.claimed', host: 'host-1', attempt: 1 }],
  ['host', { type: 'step.started', step: 'sandbox' }],
  ['host', { type: 'step.ended', step: 'sandbox', ok: true, ms: 812.5 }],
  ['agent', { type: 'plan', text: 'Read the test, mend the sum. 🙂 \u2028 "quoted"' }],
  ['control', { type: 'trouble', what: 'GitHub answered 502 once' }],
  ['control', { type: 'attempt.ended', state: 'ready', reason: 'verified', message: 'Done.' }],
];

export function sampleEvents(of = { task: TASK, attempt: 1 }): RecordedEvent[] {
  const events: RecordedEvent[] = [];
  for (const [witness, event] of entries) {
    events.push(appendEvent(events.at(-1) ?? genesis(of), { at: '2026-11-21T09:59:00.000Z', witness, event }));
  }
  return events;
}

export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'coatcheck-audit-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export async function newKey(t: TestContext): Promise<SigningKey> {
  return openKey(await temporaryFolder(t));
}
