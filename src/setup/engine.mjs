/**
 * The few calls of the Docker Engine API that set-up needs, over the engine's Unix socket.
 * Paths carry no API version: each engine then answers in its own (no single version suits both Debian 12's and the newest).
 * https://docs.docker.com/reference/api/engine/
 */
import { request } from 'node:http';
import { SetupError } from './command.mjs';

/**
 * @param {string} socketPath
 * @param {string} method
 * @param {string} path
 * @param {{ body?: import('node:stream').Readable, onLine?: (line: unknown) => void, timeoutMs?: number }} [options]
 *   `onLine` gets each object of a progress stream
 * @returns {Promise<{ status: number, text: string }>}
 */
export function engine(socketPath, method, path, { body, onLine, timeoutMs = 10_000 } = {}) {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/x-tar' };
    const call = request({ socketPath, method, path, headers, timeout: timeoutMs }, (answer) => {
      let text = '';
      let line = '';
      answer.setEncoding('utf8');
      answer.on('data', (/** @type {string} */ chunk) => {
        if (onLine === undefined) {
          text += chunk;
          return;
        }
        line += chunk;
        const lines = line.split('\n');
        line = lines.pop() ?? '';
        for (const one of lines) if (one.trim() !== '') onLine(JSON.parse(one));
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
      answer.on('error', reject);
    });
    call.on('timeout', () =>
      call.destroy(new SetupError(`Docker does not answer ${method} ${path}.`, "Look at the engine's log.")),
    );
    call.on('error', reject);
    if (body === undefined) call.end();
    else body.on('error', (error) => call.destroy(error)).pipe(call);
  });
}

/**
 * Engine facts, or null when none answers.
 * @param {string} socketPath
 * @returns {Promise<{ version: string, runtimes: Record<string, { path?: string, runtimeArgs?: string[] }> } | null>}
 */
export async function engineInfo(socketPath) {
  try {
    const { status, text } = await engine(socketPath, 'GET', '/info', { timeoutMs: 5000 });
    if (status !== 200) return null;
    /** @type {{ ServerVersion?: string, Runtimes?: Record<string, { path?: string, runtimeArgs?: string[] }> }} */
    const info = JSON.parse(text);
    return { version: info.ServerVersion ?? 'unknown', runtimes: info.Runtimes ?? {} };
  } catch {
    return null;
  }
}

/**
 * An image's id, or null when the engine does not have it (or does not answer).
 * @param {string} socketPath
 * @param {string} reference
 */
export async function imageId(socketPath, reference) {
  try {
    const { status, text } = await engine(socketPath, 'GET', `/images/${reference}/json`, { timeoutMs: 5000 });
    if (status !== 200) return null;
    /** @type {{ Id: string }} */
    const image = JSON.parse(text);
    return image.Id;
  } catch {
    return null;
  }
}
