/** Git as a caller of GitHub: the token goes in by the environment, never by the URL. */
import { execFile } from 'node:child_process';
import type { Target } from './target.ts';

export interface GitRun {
  readonly code: number;
  readonly output: string;
}

/** Runs git in a folder with a token, or without one. Never asks for anything. */
export function git(folder: string, token: string | null, args: readonly string[]): Promise<GitRun> {
  const basic = token === null ? null : Buffer.from(`x-access-token:${token}`).toString('base64');
  const settings: [string, string][] = [
    ['user.name', 'Contract'],
    ['user.email', 'contract@coatcheck.test'],
    ['credential.helper', ''],
    ...(basic === null ? [] : [['http.extraHeader', `Authorization: Basic ${basic}`] satisfies [string, string]]),
  ];
  const env: Record<string, string> = {
    ...Object.fromEntries(Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined)),
    GIT_TERMINAL_PROMPT: '0',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_COUNT: String(settings.length),
  };
  for (const [at, [key, value]] of settings.entries()) {
    env[`GIT_CONFIG_KEY_${at}`] = key;
    env[`GIT_CONFIG_VALUE_${at}`] = value;
  }
  return new Promise((resolve) => {
    execFile('git', [...args], { cwd: folder, env }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) || 1 : 0, output: `${stdout}${stderr}` });
    });
  });
}

/** @throws Error with git's words when it fails */
export async function mustGit(folder: string, token: string | null, args: readonly string[]): Promise<string> {
  const { code, output } = await git(folder, token, args);
  if (code !== 0) throw new Error(`git ${args.join(' ')} ended with ${code}: ${output}`);
  return output.trim();
}

export const remoteOf = (target: Target, repository = target.repository) =>
  `${target.web}/${repository.owner}/${repository.name}.git`;
