/** https://docs.github.com/en/rest/git : refs, commits, trees and blobs, read from the bare repository. */
import { z } from 'zod';
import { type Call, type Handlers, param, repositoryOf } from '../call.ts';
import type { Repository } from '../entities.ts';
import { ApiFailure, invalid, notFound } from '../failure.ts';
import { GitFailure, git, refsOf } from '../git-store.ts';
import { authorOf } from '../issues.ts';
import { refsChanged } from '../pushes.ts';
import { apiOf, pageOf } from '../represent.ts';
import { nodeId, type World } from '../world.ts';

const MAX_BLOB_BYTES = 100 * 1024 * 1024;
const sha1 = /^[0-9a-f]{40}$/;

/** Git's output, or null where git has no such object. */
async function tryGit(world: World, repository: Repository, args: readonly string[]): Promise<Buffer | null> {
  try {
    return await git(world.directory, repository.directory, args);
  } catch (thrown) {
    if (thrown instanceof GitFailure) return null;
    throw thrown;
  }
}

async function typeOf(world: World, repository: Repository, sha: string): Promise<string | null> {
  return (await tryGit(world, repository, ['cat-file', '-t', sha]))?.toString().trim() ?? null;
}

/** @throws ApiFailure 409 where nothing was ever pushed. */
async function refuseEmpty(world: World, repository: Repository): Promise<void> {
  if ((await refsOf(world.directory, repository.directory)).size === 0) throw new ApiFailure(409, 'Git Repository is empty.');
}

async function refShape(world: World, repository: Repository, ref: string, sha: string) {
  const api = apiOf(world, repository);
  const type = (await typeOf(world, repository, sha)) ?? 'commit';
  return {
    ref,
    node_id: Buffer.from(`${repository.id}:${ref}`).toString('base64'),
    url: `${api}/git/${ref}`,
    object: { sha, type, url: `${api}/git/${type}s/${sha}` },
  };
}

/** A commit as the git data API shows it. @throws ApiFailure 404 */
export async function gitCommitShape(world: World, repository: Repository, sha: string) {
  const format = '%H%x00%T%x00%P%x00%an%x00%ae%x00%at%x00%cn%x00%ce%x00%ct%x00%B';
  const shown = sha1.test(sha)
    ? await tryGit(world, repository, ['log', '-1', '--no-show-signature', `--format=${format}`, sha])
    : null;
  if (shown === null || (await typeOf(world, repository, sha)) !== 'commit') throw notFound();
  const [id = '', tree = '', parents = '', an = '', ae = '', at = '0', cn = '', ce = '', ct = '0', message = ''] = shown
    .toString()
    .split('\0');
  const api = apiOf(world, repository);
  const page = pageOf(world, repository);
  return {
    sha: id,
    node_id: nodeId('C', Number.parseInt(id.slice(0, 10), 16)),
    url: `${api}/git/commits/${id}`,
    html_url: `${page}/commit/${id}`,
    author: { name: an, email: ae, date: world.timestamp(Number(at) * 1000) },
    committer: { name: cn, email: ce, date: world.timestamp(Number(ct) * 1000) },
    tree: { sha: tree, url: `${api}/git/trees/${tree}` },
    message: message.trimEnd(),
    parents: parents
      .split(' ')
      .filter(Boolean)
      .map((parent) => ({ sha: parent, url: `${api}/git/commits/${parent}`, html_url: `${page}/commit/${parent}` })),
    verification: { verified: false, reason: 'unsigned', signature: null, payload: null, verified_at: null },
  };
}

async function tree(call: Call) {
  const { world } = call;
  const repository = repositoryOf(call);
  await refuseEmpty(world, repository);
  const asked = param(call, 'tree_sha');
  const id = (await tryGit(world, repository, ['rev-parse', '--verify', '--quiet', '--end-of-options', `${asked}^{tree}`]))
    ?.toString()
    .trim();
  if (!id) throw notFound();
  const recursive = call.query.has('recursive') ? ['-r', '-t'] : [];
  const listing = (await git(world.directory, repository.directory, ['ls-tree', '-z', '--long', ...recursive, id])).toString();
  const api = apiOf(world, repository);
  const entries = listing
    .split('\0')
    .filter(Boolean)
    .map((entry) => {
      const at = entry.indexOf('\t');
      const [mode = '', type = '', sha = '', size = '-'] = entry.slice(0, at).split(/ +/);
      return {
        path: entry.slice(at + 1),
        mode,
        type,
        sha,
        ...(size === '-' ? {} : { size: Number(size) }),
        ...(type === 'commit' ? {} : { url: `${api}/git/${type}s/${sha}` }),
      };
    });
  return { status: 200, body: { sha: id, url: `${api}/git/trees/${id}`, tree: entries, truncated: false } };
}

async function blob(call: Call) {
  const { world } = call;
  const repository = repositoryOf(call);
  const sha = param(call, 'file_sha');
  if (!sha1.test(sha) || (await typeOf(world, repository, sha)) !== 'blob') throw notFound();
  const content = await git(world.directory, repository.directory, ['cat-file', 'blob', sha]);
  if (content.length > MAX_BLOB_BYTES) throw new ApiFailure(403, 'This API returns blobs up to 100 MB in size.');
  return {
    status: 200,
    body: {
      sha,
      node_id: nodeId('B', Number.parseInt(sha.slice(0, 10), 16)),
      size: content.length,
      url: `${apiOf(world, repository)}/git/blobs/${sha}`,
      content: content.toString('base64').replace(/.{60}/g, '$&\n'),
      encoding: 'base64',
    },
  };
}

const NewRef = z.looseObject({ ref: z.string(), sha: z.string() });

async function createRef(call: Call) {
  const { world } = call;
  const repository = repositoryOf(call);
  const { ref, sha } = NewRef.parse(call.body);
  const before = await refsOf(world.directory, repository.directory);
  if (before.size === 0) throw new ApiFailure(409, 'Git Repository is empty.');
  if (!/^refs\/[^/]+\/.+/.test(ref)) throw new ApiFailure(422, 'Reference name is not valid');
  if (before.has(ref)) throw new ApiFailure(422, 'Reference already exists');
  if (!sha1.test(sha) || (await typeOf(world, repository, sha)) === null) throw new ApiFailure(422, 'Object does not exist');
  if ((await tryGit(world, repository, ['update-ref', ref, sha])) === null)
    throw new ApiFailure(422, 'Reference name is not valid');
  await refsChanged(call, repository, authorOf(call).account, before);
  return { status: 201, body: await refShape(world, repository, ref, sha) };
}

async function deleteRef(call: Call) {
  const { world } = call;
  const repository = repositoryOf(call);
  const ref = `refs/${param(call, 'ref')}`;
  const before = await refsOf(world.directory, repository.directory);
  if (!before.has(ref)) throw new ApiFailure(422, 'Reference does not exist');
  if (ref === `refs/heads/${repository.defaultBranch}`) throw invalid('Cannot delete the default branch');
  await git(world.directory, repository.directory, ['update-ref', '-d', ref]);
  await refsChanged(call, repository, authorOf(call).account, before);
  return { status: 204 };
}

export const gitData: Handlers = {
  'GET /repos/{owner}/{repo}/git/ref/{ref}': async (call) => {
    const repository = repositoryOf(call);
    await refuseEmpty(call.world, repository);
    const ref = `refs/${param(call, 'ref')}`;
    const sha = (await refsOf(call.world.directory, repository.directory)).get(ref);
    if (sha === undefined) throw notFound();
    return { status: 200, body: await refShape(call.world, repository, ref, sha) };
  },
  'POST /repos/{owner}/{repo}/git/refs': createRef,
  'DELETE /repos/{owner}/{repo}/git/refs/{ref}': deleteRef,
  'GET /repos/{owner}/{repo}/git/commits/{commit_sha}': async (call) => ({
    status: 200,
    body: await gitCommitShape(call.world, repositoryOf(call), param(call, 'commit_sha')),
  }),
  'GET /repos/{owner}/{repo}/git/trees/{tree_sha}': tree,
  'GET /repos/{owner}/{repo}/git/blobs/{file_sha}': blob,
};
