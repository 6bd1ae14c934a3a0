import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';

/** What the numbers were measured on. */
export function machine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  const gib = (totalmem() / 1024 ** 3).toFixed(0);
  return `${availableParallelism()} cores (${model}), ${gib} GiB, Linux ${release()}, Node ${process.versions.node}, OpenSSL ${process.versions.openssl}`;
}

/** What else the machine does now, as a sentence; `quiet` is false when it is enough to blur the numbers. */
export function load(): { quiet: boolean; text: string } {
  const [minute = '0', , , running = '1/1'] = readFileSync('/proc/loadavg', 'utf8').split(' ');
  const others = Math.max(0, Number(running.split('/')[0]) - 1);
  const quiet = Number(minute) < 0.5 && others <= 1;
  const text = `load of the last minute ${minute}, ${others} other runnable just now`;
  return { quiet, text: quiet ? `quiet: ${text}` : `LOADED: ${text}; medians are blurred, ratios less so` };
}
