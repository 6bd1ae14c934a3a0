import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import Docker from 'dockerode';
import { SandboxLimits } from '../../src/policy/limits.ts';
import { containerOptions } from '../../src/sandbox/container-options.ts';
import { thisProcess } from '../../src/sandbox/owner.ts';
import { openLog } from '../../src/sandbox/witness/find-log.ts';
import { followLog } from '../../src/sandbox/witness/follow.ts';
import { MARK_VARIABLE, Marks, markArgument } from '../../src/sandbox/witness/marks.ts';
import { makeLogDirectory } from '../../src/sandbox/witness/sweep-logs.ts';
import { machineFiles } from '../../src/setup/places.mjs';
import { BARE, withBareRuntime } from './bare-runtime.ts';
import type { Bench, Finding, Row } from './bench.ts';
import { load } from './machine.ts';
import { type Comparison, interleaved, type Side } from './measure.ts';
import { groupSeconds } from './processes.ts';

const MiB = 1024 * 1024;
const IMAGE = 'coatcheck-runner:latest';
/** What the witness may cost of a test run. */
const ALLOWED = 1.03;

type Name = 'time' | 'processor';

interface Workload {
  readonly name: string;
  /** Run once in each sandbox before anything is measured. */
  readonly prepare: string;
  readonly script: string;
  /** Whether it is a test run as projects have them, so that the limit counts. */
  readonly isTestRun: boolean;
}

const C_FILE = '#include <stdio.h>\\n#include <stdlib.h>\\n#include <string.h>\\n#include <math.h>\\n';

const WORKLOADS: readonly Workload[] = [
  {
    name: 'make test, 24 C files with a test program each',
    prepare: `mkdir -p /work/c && cd /work/c && for i in $(seq 24); do printf '${C_FILE}int main(void){double s=0;for(long k=1;k<3000000;k++)s+=sin(k*%d.0);printf("%%f\\\\n",s);return 0;}\\n' $i > t$i.c; done; printf 'T=$(patsubst %%.c,%%,$(wildcard t*.c))\\ntest: $(T)\\n\\tset -e; for t in $(T); do ./$$t >/dev/null; done\\n%%: %%.c\\n\\tgcc -O2 -Wall -o $@ $< -lm\\n' > Makefile`,
    script: 'cd /work/c && rm -f $(ls | grep -v "[.]c$" | grep t) && make -s -j2 test',
    isTestRun: true,
  },
  {
    name: 'node --test, 16 files, each in a process of its own',
    prepare: `mkdir -p /work/n/test && cd /work/n && for i in $(seq 16); do printf 'import { test } from "node:test";\\nimport assert from "node:assert";\\nfor (let n = 0; n < 40; n++) test("t" + n, () => { let s = 0; for (let k = 0; k < 4e5; k++) s += Math.sqrt(k); assert.ok(s > 0); });\\n' > test/t$i.test.mjs; done`,
    script: 'cd /work/n && node --test >/dev/null',
    isTestRun: true,
  },
  {
    name: 'nothing but 300 program starts',
    prepare: ':',
    script: 'for i in $(seq 300); do /bin/true; done',
    isTestRun: false,
  },
];

interface Measured extends Side<Name>, AsyncDisposable {
  prepare(script: string): Promise<void>;
  use(script: string): void;
}

export const witness: Bench = {
  about: 'a sandbox whose kernel is followed as a witness beside one without: test runs inside',

  lacks() {
    if (process.getuid?.() !== 0) return 'Run it as root.';
    return existsSync(machineFiles('/').daemonJson) ? null : 'Run `npm run setup`.';
  },

  async run({ quick, only, signal }): Promise<Finding> {
    const { quiet } = load();
    return await withBareRuntime(async () => {
      await using seen = await sandbox('with the witness', 'coatcheck', signal);
      await using bare = await sandbox('without', BARE, signal);
      const rows: Row[] = [];
      const missed: string[] = [];
      for (const { name, prepare, script, isTestRun } of WORKLOADS.filter((one) => one.name.includes(only))) {
        for (const side of [seen, bare]) {
          await side.prepare(prepare);
          side.use(script);
        }
        const { time, processor } = await interleaved<Name>(seen, bare, quick ? 3 : 11, signal);
        rows.push(row(name, 'wall time', time), row(name, 'processor time', processor));
        const held = quiet ? { 'wall time': time, 'processor time': processor } : { 'processor time': processor };
        for (const [measure, { ratio }] of Object.entries(held)) {
          if (isTestRun && ratio > ALLOWED)
            missed.push(`${name}: ${ratio.toFixed(3)} times the ${measure}, ${ALLOWED} is allowed`);
        }
      }
      return { sides: [seen.name, bare.name], rows, notes: NOTES, missed };
    });
  },
};

const NOTES = [
  'Processor time is that of the sandbox with its kernel and of the process that runs it and follows its log.',
  'Wall time is held against the limit only where nothing else ran when the bench began: it is that of the whole machine.',
];

const row = (workload: string, measure: string, comparison: Comparison): Row => ({
  workload,
  measure,
  unit: 's',
  better: 'lower',
  ...comparison,
});

/** A sandbox as the driver makes it, on a runtime of this name; its log is followed when it has one. */
async function sandbox(name: string, runtime: string, signal: AbortSignal): Promise<Measured> {
  const docker = new Docker({ socketPath: machineFiles('/').dockerSocket });
  const limits = SandboxLimits.parse({
    memoryBytes: 2048 * MiB,
    workBytes: 512 * MiB,
    tmpBytes: 256 * MiB,
    processes: 512,
    openFiles: 4096,
  });
  const spec = {
    image: IMAGE,
    runtime: 'runsc' as const,
    limits,
    doorDirectory: null,
    capabilities: [],
    services: [],
    onKernel: () => {},
    labels: { task: 'bench', attempt: '1', purpose: 'work' },
  };
  const { Id } = await docker.getImage(IMAGE).inspect();
  const options = containerOptions(spec, Id, thisProcess({ deployment: 'bench', host: 'bench' }), null);
  await makeLogDirectory();
  const container = await docker.createContainer({ ...options, HostConfig: { ...options.HostConfig, Runtime: runtime } });
  await container.start();
  const { State } = await container.inspect();
  const log = await openLog(State.Pid, container.id);
  if ((log === null) !== (runtime === BARE)) throw new Error(`${name}: the log is ${log === null ? 'missing' : 'there'}`);
  const marks = new Marks();
  const follower =
    log === null
      ? null
      : followLog(log, {
          marks,
          onKernel: () => {},
          onLost: (why) => console.error(why),
        });
  let used = ':';

  async function run(script: string): Promise<void> {
    const mark = marks.issue(1);
    const exec = await container.exec({
      User: '1000:1000',
      Cmd: ['/bin/bash', '-c', script, markArgument(mark)],
      Env: [`${MARK_VARIABLE}=${mark}`],
      AttachStdout: true,
      AttachStderr: true,
      abortSignal: signal,
    });
    const stream = await exec.start({ hijack: true, stdin: false });
    let output = '';
    for await (const chunk of stream) output += String(chunk);
    for (;;) {
      const { Running, ExitCode } = await exec.inspect();
      if (Running) await delay(5);
      else if (ExitCode === 0) return;
      else throw new Error(`${name}: ${script.slice(0, 80)} ended with ${ExitCode}: ${output.slice(-500)}`);
    }
  }

  const processor = () => {
    // On both sides: it reads output and exit codes on either.
    const own = process.cpuUsage();
    return groupSeconds(State.Pid) + (own.user + own.system) / 1e6;
  };

  return {
    name,
    prepare: run,
    use: (script) => {
      used = script;
    },
    async run() {
      const before = processor();
      const began = performance.now();
      await run(used);
      const time = (performance.now() - began) / 1000;
      return { time, processor: processor() - before };
    },
    async [Symbol.asyncDispose]() {
      await container.remove({ force: true, v: true });
      follower?.end();
      const summary = await follower?.summary;
      if (summary !== undefined) console.log(`seen: ${JSON.stringify(summary)}`);
    },
  };
}
