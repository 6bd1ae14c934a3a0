import { CoatcheckError } from '../errors.ts';
import { call } from './failure.ts';
import type { Access } from './repository.ts';

export interface TreeEntry {
  path: string;
  /** As git has it: 100644, 100755, 040000 (folder), 120000 (symbolic link), 160000 (submodule). */
  mode: string;
  type: string;
  sha: string;
  /** Bytes; null for what is no file. */
  size: number | null;
}

/**
 * One level of a tree, by the id of a tree or commit.
 * @throws CoatcheckError `tree_too_large` when GitHub does not give the whole list (100,000 entries or 7 MB).
 */
export async function readTree({ octokit, at, signal }: Access, sha: string): Promise<TreeEntry[]> {
  return call('Reading a folder of the repository', signal, async () => {
    const { data } = await octokit.rest.git.getTree({ ...at, tree_sha: sha });
    if (data.truncated) {
      throw new CoatcheckError(
        'tree_too_large',
        'A folder of the repository has too many entries to be read.',
        'Split the folder.',
      );
    }
    return data.tree.map(({ path, mode, type, sha, size }) => ({ path, mode, type, sha, size: size ?? null }));
  });
}

/** The entry at a path below a commit or tree, found folder by folder so that large repositories cost no more; null when there is none. */
export async function findEntry(access: Access, sha: string, path: string): Promise<TreeEntry | null> {
  let tree = sha;
  const names = path.split('/');
  for (const [depth, name] of names.entries()) {
    const entry = (await readTree(access, tree)).find((candidate) => candidate.path === name);
    if (entry === undefined) return null;
    if (depth === names.length - 1) return { ...entry, path };
    if (entry.type !== 'tree') return null;
    tree = entry.sha;
  }
  return null;
}

/**
 * A file's bytes.
 * @throws CoatcheckError `blob_too_large` when it has more than `limit` bytes.
 */
export async function readBlob({ octokit, at, signal }: Access, sha: string, limit: number): Promise<Buffer> {
  return call('Reading a file of the repository', signal, async () => {
    const { data } = await octokit.rest.git.getBlob({ ...at, file_sha: sha });
    const bytes = Buffer.from(data.content, data.encoding === 'base64' ? 'base64' : 'utf8');
    if ((data.size ?? 0) <= limit && bytes.length <= limit) return bytes;
    throw new CoatcheckError(
      'blob_too_large',
      `The file has ${data.size} bytes; at most ${limit} are read.`,
      'Make the file smaller.',
    );
  });
}
