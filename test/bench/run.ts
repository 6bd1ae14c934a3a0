/**
 * `npm run bench -- NAME… [--quick] [--only=TEXT] [--json]`: comparisons, measured in pairs that take turns on this machine.
 *
 * Exit code 0 when everything was measured and kept, 1 when something was missed or is missing on the machine.
 */
import type { Bench } from './bench.ts';
import { door } from './door.ts';
import { load, machine } from './machine.ts';
import { table } from './table.ts';
import { witness } from './witness.ts';

const BENCHES: Readonly<Record<string, Bench>> = { door, witness };

const args = process.argv.slice(2);
const names = args.filter((arg) => !arg.startsWith('--'));
const only = args.find((arg) => arg.startsWith('--only='))?.slice('--only='.length) ?? '';
const unknown = names.filter((name) => !Object.hasOwn(BENCHES, name));
const ending = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ending.abort(new Error(`ended by ${signal}`)));

if (names.length === 0 || unknown.length > 0) {
  if (unknown.length > 0) console.error(`There is no bench named ${unknown.join(', ')}.`);
  console.error('usage: npm run bench -- NAME… [--quick] [--only=TEXT] [--json]\n');
  for (const [name, { about }] of Object.entries(BENCHES)) console.error(`  ${name.padEnd(10)} ${about}`);
  process.exitCode = 2;
} else {
  for (const name of names) {
    const bench = BENCHES[name];
    if (bench !== undefined) await measure(name, bench);
  }
}

async function measure(name: string, bench: Bench): Promise<void> {
  const lacking = bench.lacks();
  if (lacking !== null) {
    console.error(`${name}: not measured, because this machine lacks something. ${lacking}`);
    process.exitCode = 1;
    return;
  }
  const before = load();
  console.log(`${name}: ${bench.about}\n${machine()}\nbefore: ${before.text}\n`);
  const finding = await bench.run({ quick: args.includes('--quick'), only, signal: ending.signal });
  console.log(`${table(finding)}\n`);
  for (const note of finding.notes) console.log(note);
  for (const missed of finding.missed) console.log(`MISSED: ${missed}`);
  if (finding.missed.length > 0) process.exitCode = 1;
  if (args.includes('--json')) console.log(JSON.stringify({ name, machine: machine(), quiet: before.quiet, ...finding }));
}
