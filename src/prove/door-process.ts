import { existsSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import path from 'node:path';
import { NotHere, type Observation, type Probe } from './probe.ts';

/** The door's process as the host sees it. */
export interface DoorProcessGround {
  /** @throws NotHere when it is not found among the host's processes. */
  doorPid(): Promise<number>;
  /** What the door must not see. */
  readonly dataDirectory: string;
  readonly dockerSocket: string;
}

/** The process that listens on a Unix socket: proc(5), /proc/net/unix and /proc/PID/fd. */
export async function listenerOf(socket: string): Promise<number> {
  const table = await readFile('/proc/net/unix', 'utf8');
  const inode = table
    .split('\n')
    .find((line) => line.endsWith(` ${socket}`))
    ?.trim()
    .split(/\s+/)[6];
  if (inode === undefined) throw new NotHere(`nobody listens on ${socket}`);
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const handles = await readdir(`/proc/${pid}/fd`).catch(() => []);
    for (const handle of handles) {
      const target = await readlink(`/proc/${pid}/fd/${handle}`).catch(() => '');
      if (target === `socket:[${inode}]`) return Number(pid);
    }
  }
  throw new NotHere('the door’s process is not seen from here');
}

type DoorProcessProbe = Probe<DoorProcessGround>;

function look(
  name: string,
  attempt: string,
  expected: string,
  judge: (pid: number, ground: DoorProcessGround) => Promise<{ held: boolean; seen: string }>,
): DoorProcessProbe {
  return {
    ...{ class: 'door', name, attempt, expected },
    async run(ground): Promise<Observation> {
      const pid = await ground.doorPid();
      const { held, seen } = await judge(pid, ground);
      const parts = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
      const worked = parts.some((part) => part.endsWith('door/process.ts'));
      return { held, seen, control: { worked, how: `the process looked at is the door: ${pid}` } };
    },
  };
}

async function status(pid: number): Promise<Map<string, string>> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8');
  return new Map(text.split('\n').map((line) => [line.split(':')[0] ?? '', line.slice(line.indexOf(':') + 1).trim()]));
}

const NAMESPACES = ['mnt', 'pid', 'ipc', 'uts'];

/** Whether a path of the host is there for the door. */
const sees = (pid: number, file: string): boolean => existsSync(path.join(`/proc/${pid}/root`, file));

export const DOOR_PROCESS_PROBES: readonly DoorProcessProbe[] = [
  look('the door’s user', 'look at its identity', 'not root, and no user of the system', async (pid) => {
    const uids = (await status(pid)).get('Uid') ?? '';
    return { held: uids.split(/\s+/).every((uid) => Number(uid) >= 1000), seen: `uids ${uids.replaceAll(/\s+/g, ' ')}` };
  }),
  look('the door’s capabilities', 'look at its sets', 'all empty, and no way to new ones', async (pid) => {
    const found = await status(pid);
    const sets = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map((name) => found.get(name) ?? '?');
    const none = sets.every((set) => /^0+$/.test(set));
    return {
      held: none && found.get('NoNewPrivs') === '1',
      seen: `${none ? 'none' : sets.join(' ')}, NoNewPrivs ${found.get('NoNewPrivs')}`,
    };
  }),
  look('the door’s environment', 'read it', 'empty but for what its cage sets', async (pid) => {
    const names = (await readFile(`/proc/${pid}/environ`, 'utf8'))
      .split('\0')
      .filter(Boolean)
      .map((entry) => entry.split('=')[0] ?? '');
    return { held: names.every((name) => name === 'PWD'), seen: names.join(' ') || 'empty' };
  }),
  look('the door and the engine', 'look for Docker’s socket from where it is', 'it does not see it', async (pid, ground) => {
    const found = [ground.dockerSocket, '/run/docker.sock', '/run/containerd'].filter((file) => sees(pid, file));
    return { held: found.length === 0 && existsSync(ground.dockerSocket), seen: found.join(' ') || 'none of its paths' };
  }),
  look(
    'the door and the data directory',
    'look for it from where it is',
    'it does not see it',
    async (pid, { dataDirectory }) => {
      const found = [dataDirectory, path.join(dataDirectory, 'coatcheck.sqlite')].filter((file) => sees(pid, file));
      return { held: found.length === 0, seen: found.join(' ') || 'not there' };
    },
  ),
  look('the door and the host’s secrets', 'look for accounts, keys and homes', 'it does not see them', async (pid) => {
    const found = ['/etc/shadow', '/root', '/home', '/etc/ssh', '/var/lib', '/etc/docker'].filter((file) => sees(pid, file));
    return { held: found.length === 0, seen: found.join(' ') || 'none of them' };
  }),
  look('the door’s namespaces', 'compare with this process’s', 'its own mounts, processes, IPC and name', async (pid) => {
    const links = (of: string) => Promise.all(NAMESPACES.map((name) => readlink(`/proc/${of}/ns/${name}`)));
    const [own, its] = await Promise.all([links('self'), links(String(pid))]);
    const shared = NAMESPACES.filter((_, index) => own[index] === its[index]);
    return { held: shared.length === 0, seen: shared.length === 0 ? 'all its own' : `shared: ${shared.join(' ')}` };
  }),
  look('the door’s memory', 'look at its limits', 'its private memory and its files are capped', async (pid) => {
    const text = await readFile(`/proc/${pid}/limits`, 'utf8');
    const value = (name: string) => new RegExp(`^${name} +(\\S+)`, 'm').exec(text)?.[1] ?? '?';
    const found = { data: value('Max data size'), file: value('Max file size'), core: value('Max core file size') };
    const held = /^\d+$/.test(found.data) && /^\d+$/.test(found.file) && found.core === '0';
    return { held, seen: `data ${found.data}, file ${found.file}, core ${found.core}` };
  }),
];
