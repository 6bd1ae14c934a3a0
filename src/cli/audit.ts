import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { verifyRecord } from '../audit/verify.ts';
import { CoatcheckError } from '../errors.ts';

async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new CoatcheckError('file_unreadable', `${file} cannot be read.`, 'Check the path.', { cause: error });
  }
}

async function readKey(file: string): Promise<KeyObject> {
  const text = await read(file);
  try {
    return createPublicKey(text);
  } catch (error) {
    throw new CoatcheckError('key_unreadable', `${file} is not a public key.`, 'Give the record-key.pub.pem of the deployment.', {
      cause: error,
    });
  }
}

/** Says of a record file whether it is intact, or what the first bad event is. True when it is intact. */
export async function auditVerify(file: string, options: { key?: string }, write: (line: string) => void): Promise<boolean> {
  const keys = options.key === undefined ? [] : [await readKey(options.key)];
  const verdict = verifyRecord(await read(file), keys);
  if (!verdict.ok) {
    const { line, seq, why } = verdict.firstBad;
    write(`NOT INTACT: line ${line}${seq === null ? '' : `, event ${seq}`}: ${why}`);
    return false;
  }
  const { predicate } = verdict.sealed;
  write(`intact: ${verdict.events.length} events of task ${predicate.task}, attempt ${predicate.attempt} (${predicate.state})`);
  write(`repository ${predicate.repository}, commit ${predicate.commit ?? 'none'}`);
  write(
    verdict.key.attested === 'given'
      ? `sealed with the given key ${verdict.key.id}`
      : `sealed with key ${verdict.key.id}, which the file itself carries: give --key to check it against one that you received another way`,
  );
  write('what it stands for, and what not:');
  for (const limit of predicate.limits) write(`- ${limit}`);
  return true;
}
