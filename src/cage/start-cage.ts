import { type ChildProcess, spawn } from 'node:child_process';
import { Duplex, Writable } from 'node:stream';
import { CAGE_UID, cageArguments } from './arguments.ts';
import type { StartCage } from './cage.ts';
import { findCageTools } from './tools.ts';

/**
 * Starts a process in a cage: see `CageOptions` for what it sees and what it may use.
 *
 * The child is bubblewrap's own monitor: killing it with SIGKILL ends everything inside, and so does the death of
 * this process. Its exit code is the command's; 128 + n when signal n ended the command. Writable paths must let
 * the cage's user write: hand them over with `giveToCage`. Call it on the main thread: the kernel ties a child's
 * life to the thread that started it.
 *
 * @throws CoatcheckError `cage_unavailable` naming the missing Debian package.
 */
export const startCage: StartCage = (options) => {
  const tools = findCageTools();
  const accountsFd = options.stdio.length;
  const gateFd = accountsFd + 1;
  const argv = cageArguments(options, tools, { asRoot: process.getuid?.() === 0, accountsFd, gateFd });
  options.signal.throwIfAborted();
  // The environment goes through spawn and not through --setenv: a command line can be read by every user of the host.
  const child = spawn(tools.bwrap, argv, { cwd: '/', env: { ...options.env }, stdio: [...options.stdio, 'pipe', 'pipe'] });
  const uid = options.uid ?? CAGE_UID;
  giveAccounts(child.stdio[accountsFd], `cage:x:${uid}:${uid}::/tmp:/usr/sbin/nologin\n`);
  keepGate(child, child.stdio[gateFd]);
  const kill = () => child.kill('SIGKILL');
  options.signal.addEventListener('abort', kill, { once: true });
  child.once('close', () => options.signal.removeEventListener('abort', kill));
  return child;
};

/** A cage stands within some ten milliseconds; one that does not in this time is killed whatever it leaves behind. */
const STANDS_MS = 10_000;

type Stdio = ChildProcess['stdio'][number] | undefined;

function giveAccounts(stream: Stdio, text: string): void {
  if (!(stream instanceof Writable)) return;
  stream.on('error', () => {}); // bubblewrap ended early; its exit code says so
  stream.end(text);
}

/**
 * Opens the gate once the cage stands. A kill that comes before is kept until then: bubblewrap killed in between
 * would leave its half-made first process waiting for it for ever.
 */
function keepGate(child: ChildProcess, gate: Stdio): void {
  if (!(gate instanceof Duplex)) return;
  const kill = child.kill.bind(child);
  let kept: NodeJS.Signals | number | null = null;
  const release = () => {
    child.kill = kill;
    clearTimeout(timer);
    if (kept !== null) kill(kept);
  };
  const timer = setTimeout(release, STANDS_MS);
  timer.unref();
  child.kill = (signal = 'SIGTERM') => {
    kept = signal;
    return true;
  };
  gate.on('error', () => {});
  gate.once('data', () => {
    release();
    if (kept === null) gate.end('go\n');
    else gate.destroy();
  });
  child.once('exit', () => {
    release();
    gate.destroy();
  });
}
