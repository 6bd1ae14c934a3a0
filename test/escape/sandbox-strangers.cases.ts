/** Row 25, where the kernel is the witness: what no command of ours started is told as a stranger, whatever it says. */
import type { KernelSight } from '../../src/sandbox/sandbox.ts';
import type { EscapeCase, Observation } from './cases.ts';
import { docker } from './docker.ts';
import { type Neighbours, never } from './sandbox-rig.ts';

type Case = EscapeCase<Neighbours>;
type Process = Extract<KernelSight, { seen: 'process' }>;
const BOUND_MS = 10_000;

/** The first process of this program that the kernel tells of. */
async function told({ sights }: Neighbours, program: string): Promise<Process | null> {
  for (const until = performance.now() + BOUND_MS; performance.now() < until; ) {
    const found = sights.find((sight): sight is Process => sight.seen === 'process' && sight.executable.endsWith(`/${program}`));
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return null;
}

/** Starts something past the driver, as nobody should. */
async function intrude({ one }: Neighbours, Cmd: string[], Env: string[] = []): Promise<void> {
  const exec = await docker.getContainer(one.id).exec({ User: '1000:1000', Cmd, Env, AttachStdout: true });
  for await (const _ of await exec.start({ hijack: true, stdin: false })) {
    // Until it has ended.
  }
}

const ours = async ({ one }: Neighbours, script: string) => {
  const command = ['/bin/bash', '-c', script];
  const result = await one.exec({ command, timeoutMs: 20_000, outputLimit: 4096, signal: never });
  return { number: result.command, output: result.output.trim() };
};

/** The same program by a command of ours bears its number. */
async function numbered(target: Neighbours, program: string): Promise<Observation['control']> {
  const { number } = await ours(target, `/usr/bin/${program} /dev/null`);
  const sight = await told(target, program);
  return {
    worked: number > 0 && sight?.command === number,
    how: `command ${number} started ${program}, told as of ${sight?.command}`,
  };
}

const seenAs = (sight: Process | null): string =>
  sight === null ? 'not told at all' : `told as of ${sight.command ?? 'nobody'}`;

const STRANGERS: readonly (readonly [name: string, program: string, start: (target: Neighbours) => Promise<void>])[] = [
  ['a process started past the driver', 'tac', (target) => intrude(target, ['/usr/bin/tac', '/dev/null'])],
  [
    'what such a process starts in turn',
    'nl',
    (target) => intrude(target, ['/bin/sh', '-c', '(setsid /usr/bin/nl /dev/null); true']),
  ],
  [
    'one with a made-up mark in arguments and environment',
    'rev',
    (target) =>
      intrude(target, ['/usr/bin/rev', '/dev/null', `coatcheck:${'ab'.repeat(16)}`], [`COATCHECK_COMMAND=${'ab'.repeat(16)}`]),
  ],
  [
    'one with the mark of a command that ran',
    'cksum',
    async (target) => {
      const { output } = await ours(target, 'echo $COATCHECK_COMMAND');
      if (!/^[0-9a-f]{32}$/.test(output)) throw new Error(`no mark inside: ${output}`);
      await intrude(
        target,
        ['/bin/sh', '-c', 'exec /usr/bin/cksum </dev/null', `coatcheck:${output}`],
        [`COATCHECK_COMMAND=${output}`],
      );
    },
  ],
];
const CONTROLS: readonly string[] = ['comm', 'fold', 'fmt', 'od'];

const strangers = STRANGERS.map(
  ([name, program, start], index): Case => ({
    row: 25,
    name: `${name} is a stranger`,
    attempt: `${program} runs in the sandbox, and no command of the runner started it`,
    expected: 'the kernel tells of it, as of nobody',
    async run(target) {
      await start(target);
      const sight = await told(target, program);
      const control = await numbered(target, CONTROLS[index] ?? 'od');
      return { held: sight !== null && sight.command === null, seen: seenAs(sight), control };
    },
  }),
);

const forged: Case = {
  row: 25,
  name: 'an agent that takes another mark stays with its own command',
  attempt: 'a command starts a process under a made-up mark, with an environment of its own',
  expected: 'told as of the command that it descends from',
  async run(target) {
    const { number } = await ours(
      target,
      `env -i COATCHECK_COMMAND=${'cd'.repeat(16)} /usr/bin/paste /dev/null coatcheck:${'cd'.repeat(16)}; true`,
    );
    const sight = await told(target, 'paste');
    return { held: sight?.command === number && number > 0, seen: seenAs(sight), control: await numbered(target, 'expand') };
  },
};

export const CASES: readonly Case[] = [...strangers, forged];
