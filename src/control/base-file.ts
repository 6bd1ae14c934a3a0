import { CoatcheckError } from '../errors.ts';
import type { OtherRepository } from '../github/github.ts';

/** A blob of a tree as it was read, by the name it has there. */
export interface BaseFile {
  readonly path: string;
  readonly blob: string;
  readonly text: string;
}

/** Reads one repository's trees and blobs. */
export type BlobReader = Pick<OtherRepository, 'findEntry' | 'readBlob'>;

/** Rule files, configuration and lock files; what is larger is something else. Bytes. */
const FILE_LIMIT = 1024 * 1024;

/**
 * Reads a file of a commit as a git blob; null when there is none.
 * @throws CoatcheckError `configuration_invalid` for what is not a regular file, or too large.
 */
export async function readBaseFile(
  reader: BlobReader,
  at: { readonly ref: string; readonly sha: string },
  path: string,
): Promise<BaseFile | null> {
  const entry = await reader.findEntry(at.sha, path);
  if (entry === null) return null;
  // 120000 is a symbolic link: what it points to is not what was reviewed under this name.
  if (entry.type !== 'blob' || entry.mode === '120000') {
    throw new CoatcheckError(
      'configuration_invalid',
      `${path} is not a regular file in ${at.ref} (mode ${entry.mode}).`,
      'Replace it with a regular file.',
    );
  }
  if ((entry.size ?? 0) > FILE_LIMIT) {
    throw new CoatcheckError(
      'configuration_invalid',
      `${path} has ${entry.size} bytes in ${at.ref}; at most ${FILE_LIMIT} are read.`,
      'Make the file smaller.',
    );
  }
  const bytes = await reader.readBlob(entry.sha, FILE_LIMIT);
  return { path, blob: entry.sha, text: bytes.toString('utf8') };
}
