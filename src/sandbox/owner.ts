import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import type { SandboxSpec } from './sandbox.ts';

/** The process that a sandbox belongs to: when it is gone, so should the sandbox be. */
export interface Owner {
  readonly deployment: string;
  readonly host: string;
  /** Kernel's boot id: a process id means nothing after a restart of the machine. */
  readonly boot: string;
  /** PID namespace; another namespace's process ids cannot be judged from here. */
  readonly pidns: string;
  readonly pid: number;
  /** Start time of the process in clock ticks since boot: tells a reused process id. See proc_pid_stat(5), field 22. */
  readonly started: string;
}

const LABEL = 'coatcheck.';

/** Start time of a process in clock ticks since boot; null when there is no such process, or only its zombie. */
export function processStarted(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The program's name, field 2, may hold spaces and parentheses: fields count from its last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}

/** This process as an owner. */
export function thisProcess(names: { deployment: string; host: string }): Owner {
  return {
    ...names,
    boot: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    pidns: readlinkSync('/proc/self/ns/pid'),
    pid: process.pid,
    started: processStarted(process.pid) ?? '',
  };
}

/** Labels that name the owner and the work of a container. */
export function labelsOf(owner: Owner, work: SandboxSpec['labels']): Record<string, string> {
  return {
    [`${LABEL}deployment`]: owner.deployment,
    [`${LABEL}host`]: owner.host,
    [`${LABEL}boot`]: owner.boot,
    [`${LABEL}pidns`]: owner.pidns,
    [`${LABEL}pid`]: String(owner.pid),
    [`${LABEL}started`]: owner.started,
    [`${LABEL}task`]: work.task,
    [`${LABEL}attempt`]: work.attempt,
    [`${LABEL}purpose`]: work.purpose,
  };
}

/** The label filter that finds all sandboxes of a deployment. */
export const deploymentFilter = (deployment: string): string => `${LABEL}deployment=${deployment}`;

/**
 * Whether the owner named by a container's labels is gone, as far as it can be judged from here.
 * A process of another PID namespace counts as alive; so does whatever has no readable labels.
 */
export function ownerIsGone(labels: Readonly<Record<string, string>>, self: Owner): boolean {
  const label = (name: string) => labels[LABEL + name];
  const pid = Number(label('pid'));
  if (label('deployment') !== self.deployment || !Number.isInteger(pid) || pid <= 0) return false;
  // Another boot's process is gone for certain, but a foreign boot id may be another machine's: only our own host's is judged.
  if (label('boot') !== self.boot) return label('host') === self.host;
  if (label('pidns') !== self.pidns) return false;
  return processStarted(pid) !== label('started');
}

/** The boot in which the labels were written. */
export const bootOf = (labels: Readonly<Record<string, string>>): string | undefined => labels[`${LABEL}boot`];

/** Whether the labels name exactly this owner. */
export function isOwn(labels: Readonly<Record<string, string>>, self: Owner): boolean {
  return Object.entries(self).every(([name, value]) => labels[LABEL + name] === String(value));
}

/** Host name inside every sandbox of a deployment: the one mark that survives where the engine's labels are lost. */
export function hostnameOf(deployment: string): string {
  return `coatcheck-${createHash('sha256').update(deployment).digest('hex').slice(0, 16)}`;
}
