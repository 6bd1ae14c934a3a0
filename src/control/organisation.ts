import { CoatcheckError } from '../errors.ts';
import { ORGANISATION_CONFIG, ORGANISATION_REPOSITORY } from '../policy/organisation-config.ts';
import type { Task } from '../task/task.ts';
import { type BaseFile, readBaseFile } from './base-file.ts';
import type { Credentials } from './credentials.ts';
import type { AttemptRef } from './record.ts';

/** The organisation's file, and where it was read. */
export interface OrganisationFile extends BaseFile {
  /** `owner/name`. */
  readonly repository: string;
  readonly commit: string;
}

/**
 * Reads the policy of the task's account: a file of its repository `.github`, at the head of the default branch, with a
 * token for that repository alone which is revoked at once. Null when the installation does not cover that repository,
 * or there is no such file in it.
 */
export async function readOrganisation(credentials: Credentials, ref: AttemptRef, task: Task): Promise<OrganisationFile | null> {
  const name = { owner: task.repository.owner, name: ORGANISATION_REPOSITORY };
  const opened = await credentials.openRepository(ref, task, name);
  if (opened === null) return null;
  try {
    const base = await opened.base();
    const file = await readBaseFile(opened, base, ORGANISATION_CONFIG);
    return file && { ...file, repository: `${opened.repository.owner}/${opened.repository.name}`, commit: base.sha };
  } catch (error) {
    if (error instanceof CoatcheckError && error.code === 'repository_empty') return null;
    throw error;
  } finally {
    await credentials.revoke(ref, opened.token.id);
  }
}
