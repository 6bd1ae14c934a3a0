import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { NODE_CODE_RANGE_BYTES } from '../cage/cage.ts';
import { runInCage } from '../cage/run-in-cage.ts';
import type { Scanned } from './secret-scan.ts';

const MiB = 1024 * 1024;

/** What one scan may cost. The heap is the tighter cap on memory: Node ends by itself at it. */
export interface ScanCaps {
  readonly heapMiB: number;
  readonly cpuSeconds: number;
  readonly wallMs: number;
}

const CAPS: ScanCaps = { heapMiB: 256, cpuSeconds: 30, wallMs: 60_000 };

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SEEN = ['src/git', 'node_modules', 'package.json'].map((path) => join(ROOT, path));

const PRESET = '@secretlint/secretlint-rule-preset-recommend';
const { version } = z.object({ version: z.string() }).parse(createRequire(import.meta.url)(`${PRESET}/package.json`));

/** The maintained rules and their version, as the record names them; the number after the plus sign counts our own. */
export const SCANNER = `${PRESET} ${version}+1`;

/** What a scanner may say; anything else is no result. */
const Result = z.strictObject({
  hits: z.array(z.strictObject({ path: z.string(), line: z.int().nonnegative(), rule: z.string().regex(/^[\w-]+ [\w-]+$/) })),
  shown: z.string(),
  whole: z.boolean(),
});

export type ScanResult = ({ readonly kind: 'scanned' } & Scanned) | { readonly kind: 'failed'; readonly why: string };

/**
 * Scans a patch in a cage of its own, with nothing to write to. A scanner that dies, takes too long or says nonsense is
 * a result: whoever asks must not take it for a clean one.
 * @throws the signal's reason when it is aborted; CoatcheckError `cage_unavailable`, `cage_failed`.
 */
export async function scanSecrets(patch: Buffer, shown: string, signal: AbortSignal, caps = CAPS): Promise<ScanResult> {
  const run = await runInCage({
    command: [process.execPath, `--max-old-space-size=${caps.heapMiB}`, join(ROOT, 'src/git/scanner-process.ts')],
    readOnly: [process.execPath, ...SEEN],
    writable: [],
    cwd: '/tmp',
    env: {},
    network: 'none',
    memoryBytes: 2 * caps.heapMiB * MiB + NODE_CODE_RANGE_BYTES,
    fileBytes: MiB,
    cpuSeconds: caps.cpuSeconds,
    timeoutMs: caps.wallMs,
    stdin: Buffer.concat([Buffer.from(`${patch.length}\n`), patch, Buffer.from(shown)]),
    outputLimit: 2 * Buffer.byteLength(shown) + 2 * MiB,
    signal,
  });
  signal.throwIfAborted();
  if (run.ended !== 'exited' || run.exitCode !== 0) {
    // What the process says may quote the change: its last words are not passed on.
    return { kind: 'failed', why: run.ended === 'exited' ? `exit code ${run.exitCode}` : run.ended.replace('_', ' ') };
  }
  const result = Result.safeParse(jsonIn(run.stdout));
  return result.success ? { kind: 'scanned', ...result.data } : { kind: 'failed', why: 'its answer could not be read' };
}

function jsonIn(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return null;
  }
}
