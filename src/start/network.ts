import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { getCACertificates } from 'node:tls';
import type { Config } from '../config.ts';
import type { GitNetwork } from '../git/remote.ts';

/**
 * How git reaches GitHub from this machine. git takes one file of authorities in place of the system's, so with
 * authorities of the company's own the file holds both.
 */
export async function gitNetwork(config: Config): Promise<GitNetwork> {
  const direct = { proxy: config.upstreamProxy, noProxy: config.noProxy === '' ? null : config.noProxy };
  if (config.authorities === '') return { authorities: null, ...direct };
  const file = path.join(config.dataDirectory, 'authorities.pem');
  await writeFile(file, [...getCACertificates('system'), config.authorities].join('\n'), { mode: 0o644 });
  return { authorities: file, ...direct };
}
