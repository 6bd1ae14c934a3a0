import { access, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { seal, writeRecord } from '../audit/seal.ts';
import { verifyRecord } from '../audit/verify.ts';
import type { Sealed } from './comments.ts';
import type { Ending } from './ending.ts';
import type { ControlParts } from './parts.ts';
import type { AttemptRef } from './record.ts';

/** Where the sealed record of an attempt is kept. */
export const recordFile = (directory: string, ref: AttemptRef): string =>
  path.join(directory, 'records', `${ref.task}-${ref.attempt}.jsonl`);

/** Seals the record of an attempt once; a repetition finds the file and leaves it. */
export async function sealRecord(parts: ControlParts, ref: AttemptRef, end: Ending): Promise<void> {
  const file = recordFile(parts.directory, ref);
  const there = await access(file).then(
    () => true,
    () => false,
  );
  if (there) return;
  const { task, traces } = await parts.store.tasks.get(ref.task);
  const record = seal(
    await parts.recorder.read(ref),
    {
      task: ref.task,
      attempt: ref.attempt,
      repository: `${task.repository.owner}/${task.repository.name}`,
      state: end.state,
      reason: end.reason,
      commit: traces.commit,
      pullRequest: traces.pullRequest === null ? null : { number: traces.pullRequest.number, url: traces.pullRequest.url },
      sealedAt: new Date().toISOString(),
    },
    parts.key,
  );
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  await writeRecord(file, record);
}

/** What a sealed record came to, as it stands on disk now; null when there is none or it does not verify. */
export async function readSealed(directory: string, ref: AttemptRef): Promise<Sealed | null> {
  const bytes = await readFile(recordFile(directory, ref)).catch(() => null);
  const verdict = bytes === null ? null : verifyRecord(bytes);
  if (!verdict?.ok) return null;
  const digest = verdict.sealed.subject.find((subject) => 'sha256' in subject.digest)?.digest['sha256'] ?? '';
  return { digest, count: verdict.events.length, keyId: verdict.key.id };
}
