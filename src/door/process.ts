/**
 * The door's own process, started in a cage by `openDoor`. Configuration and commands come as JSON lines on stdin,
 * reports leave as JSON lines on stdout. When stdin ends, its host is gone, and so is the door.
 */
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { DoorCommand, DoorConfiguration, type DoorReport } from './protocol.ts';
import { openProxy } from './proxy.ts';

/** Written at once: a row that is only queued would be lost with the process. */
function report(message: DoorReport): void {
  let left = Buffer.from(`${JSON.stringify(message)}\n`);
  while (left.length > 0) {
    try {
      left = left.subarray(writeSync(1, left));
    } catch (error) {
      // The host reads slowly: wait for it, and let nothing through meanwhile.
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

async function main(): Promise<void> {
  const lines = createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })[Symbol.asyncIterator]();
  const first = await lines.next();
  if (first.done === true) return;
  const proxy = await openProxy(DoorConfiguration.parse(JSON.parse(first.value)), (decision) =>
    report({ report: 'decision', decision }),
  );
  report({ report: 'ready', authority: proxy.authority });
  for await (const line of lines) {
    const command = DoorCommand.parse(JSON.parse(line));
    if (command.command === 'close') break;
    proxy.set(command.state);
    report({ report: 'in_force', id: command.id });
  }
  await proxy.close();
  report({ report: 'closed' });
}

await main();
process.exit(0);
