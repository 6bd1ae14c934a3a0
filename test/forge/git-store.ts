/** Bare repositories on disk, read and written by git itself; the forge's own git settings, none of the machine's. */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** The environment for every git of the forge. */
export function gitEnvironment(directory: string): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    HOME: directory,
    LC_ALL: 'C.UTF-8',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: path.join(directory, 'gitconfig'),
  };
}

/** Laid down once for each forge. `update` hooks refuse as GitHub does; see `git-http.ts` for their variables. */
export function prepareGit(directory: string): void {
  const hooks = path.join(directory, 'hooks');
  mkdirSync(hooks, { recursive: true });
  writeFileSync(
    path.join(directory, 'gitconfig'),
    [
      '[safe]\n\tdirectory = *',
      '[user]\n\tname = Forge\n\temail = forge@forge.test',
      `[core]\n\thooksPath = ${hooks}`,
      '[http]\n\treceivepack = true\n\tuploadpack = true',
      // GitHub serves any object by its name, and keeps pull request refs to itself.
      '[uploadpack]\n\tallowAnySHA1InWant = true\n\tallowFilter = true',
      '[receive]\n\thideRefs = refs/pull\n\tadvertisePushOptions = true\n\tdenyDeleteCurrent = refuse\n\tfsckObjects = true',
      '[gc]\n\tauto = 0',
      '[advice]\n\tdetachedHead = false',
      '',
    ].join('\n'),
  );
  writeFileSync(path.join(hooks, 'update'), UPDATE_HOOK, { mode: 0o755 });
}

const UPDATE_HOOK = `#!/bin/sh
# Refuses changes to workflow files by apps that lack the permission for them.
[ "$FORGE_MAY_WRITE_WORKFLOWS" = no ] || exit 0
case "$3" in *[!0]*) ;; *) exit 0 ;; esac
touched=$(git log --format= --name-only --no-renames "$3" --not --all -- .github/workflows | head -n 1)
[ -z "$touched" ] && exit 0
echo "$1 refusing to allow a GitHub App to create or update workflow \\\`$touched\\\` without \\\`workflows\\\` permission" >>"$FORGE_REFUSALS"
exit 1
`;

export class GitFailure extends Error {
  readonly exitCode: number | null;
  constructor(args: readonly string[], exitCode: number | null, stderr: string) {
    super(`git ${args.join(' ')} ended with ${exitCode}: ${stderr.trim()}`);
    this.exitCode = exitCode;
  }
}

/** Runs git in a bare repository and gives its output. @throws GitFailure */
export function git(
  forgeDirectory: string,
  repository: string,
  args: readonly string[],
  input?: string | Buffer,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const child = spawn('git', args, { cwd: repository, env: gitEnvironment(forgeDirectory) });
    const out: Buffer[] = [];
    let err = '';
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => {
      err += chunk.toString();
    });
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve(Buffer.concat(out)) : reject(new GitFailure(args, code, err))));
    child.stdin.on('error', () => {
      /* git may end before it has read everything; its exit code tells. */
    });
    child.stdin.end(input);
  });
}

export type FileContent = string | { readonly base64: string; readonly executable?: boolean } | { readonly symlink: string };

export interface CommitRequest {
  readonly branch: string;
  readonly message: string;
  readonly author: { readonly name: string; readonly email: string; readonly at: number };
  /** Null deletes the file. */
  readonly files: Readonly<Record<string, FileContent | null>>;
  /** The commit it stands on; null begins a history. */
  readonly parent: string | null;
}

/** One commit by `git fast-import`; the branch moves to it. Gives its id. */
export async function commitFiles(forgeDirectory: string, repository: string, request: CommitRequest): Promise<string> {
  const { branch, message, author, parent } = request;
  const parts: Buffer[] = [];
  const line = (text: string) => parts.push(Buffer.from(`${text}\n`));
  const data = (content: Buffer) => parts.push(Buffer.from(`data ${content.length}\n`), content, Buffer.from('\n'));
  line(`commit refs/heads/${branch}`);
  line(`committer ${author.name} <${author.email}> ${Math.floor(author.at / 1000)} +0000`);
  data(Buffer.from(message));
  if (parent !== null) line(`from ${parent}`);
  for (const [name, content] of Object.entries(request.files)) {
    const quoted = `"${name.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n')}"`;
    if (content === null) line(`D ${quoted}`);
    else {
      line(`M ${modeOf(content)} inline ${quoted}`);
      data(bytesOf(content));
    }
  }
  line('done');
  await git(forgeDirectory, repository, ['fast-import', '--quiet', '--done', '--force'], Buffer.concat(parts));
  return (await git(forgeDirectory, repository, ['rev-parse', `refs/heads/${branch}`])).toString().trim();
}

function modeOf(content: FileContent): string {
  if (typeof content === 'string') return '100644';
  if ('symlink' in content) return '120000';
  return content.executable ? '100755' : '100644';
}

function bytesOf(content: FileContent): Buffer {
  if (typeof content === 'string') return Buffer.from(content);
  return 'symlink' in content ? Buffer.from(content.symlink) : Buffer.from(content.base64, 'base64');
}

/** All refs with what they point at. */
export async function refsOf(forgeDirectory: string, repository: string): Promise<Map<string, string>> {
  const listing = (await git(forgeDirectory, repository, ['for-each-ref', '--format=%(refname) %(objectname)'])).toString();
  const refs = new Map<string, string>();
  for (const entry of listing.split('\n').filter(Boolean)) {
    const [name = '', sha = ''] = entry.split(' ');
    refs.set(name, sha);
  }
  return refs;
}
