import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { makeCommit } from '../../src/git/commit.ts';
import { checkoutCommands, layIn } from '../../src/git/lay-in.ts';
import { openMirror } from '../../src/git/mirror.ts';
import { pushBranch } from '../../src/git/push.ts';
import { applyCommand, bundleCommand, readApplied, readTakeOut, stageCommand } from '../../src/git/take-out.ts';
import { bundleWith, entryHeader } from '../git/hand-made-pack.ts';
import { inside } from '../git/inside.ts';
import { fakeBundle, MiB, POLICY, quarantineWorld } from '../git/quarantine-world.ts';
import { gitAs } from '../git/repositories.ts';

const signal = AbortSignal.timeout(300_000);
const APP = { name: 'coatcheck[bot]', email: 'coatcheck@people.test' };

test('ten thousand files and one of 50 MB go the whole way: mirror, sandbox, change, clean room, quarantine, branch', async (t) => {
  const large = randomBytes(50 * MiB);
  const files = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`d${i % 100}/f${i}.txt`, `file ${i}\n`] as const));
  const world = await quarantineWorld(t, { ...files, 'large.bin': large });
  const mirror = await openMirror({ directory: join(world.root, 'mirrors'), repositoryId: 1 });
  await mirror.update({ remote: world.remote, sha: world.base, ref: 'main', byteLimit: 200 * MiB, signal });
  const originUrl = 'http://git.coatcheck.internal/acme/widget.git';
  await using laid = await layIn(mirror, { sha: world.base, ref: 'main', originUrl, byteLimit: 200 * MiB, signal });
  const [agents, clean] = [0, 1].map(() => join(mkdtempSync(join(world.root, 'sandbox-')), 'repo'));
  assert.ok(agents !== undefined && clean !== undefined);
  for (const workTree of [agents, clean]) {
    for (const command of checkoutCommands({ sha: world.base, workTree })) {
      const run = await inside(command, command.stdin === 'tar' ? laid.stream() : undefined);
      assert.equal(run.code, 0, run.stderr);
    }
  }
  assert.ok(readFileSync(join(agents, 'large.bin')).equals(large));
  for (let i = 0; i < 2000; i++) writeFileSync(join(agents, `d${i % 100}/f${i}.txt`), `changed ${i}\n`);
  writeFileSync(join(agents, 'large.bin'), Buffer.concat([large, Buffer.from('tail')]));
  const options = { base: world.base, workTree: agents, scratch: join(world.root, 'out.git') };
  const taken = readTakeOut((await inside(stageCommand(options))).stdout);
  assert.ok(taken.kind === 'change');
  const bundle = (await inside(bundleCommand(options))).stdout;
  assert.equal(readApplied((await inside(applyCommand({ base: world.base, workTree: clean }), bundle)).stdout), taken.tree);
  const limits = { files: 3000, bytes: 64 * MiB };
  const policy = { ...POLICY, large_file: 'note' as const };
  const report = await world.check(fakeBundle(world, bundle), taken.tree, { limits, policy });
  assert.equal(report.verdict, 'clean');
  assert.deepEqual(
    report.findings.map(({ rule, path }) => `${rule} ${path}`),
    ['binary large.bin', 'large_file large.bin'],
  );
  assert.equal(report.files.length, 2001);
  const large_ = report.files.find((file) => file.path === 'large.bin');
  assert.deepEqual(large_, {
    path: 'large.bin',
    change: 'modified',
    mode: '100644',
    oldMode: '100644',
    size: 50 * MiB + 4,
    binary: true,
  });
  const commit = {
    tree: taken.tree,
    parent: world.base,
    author: APP,
    committer: APP,
    message: 'Change',
    date: new Date(),
    signal,
  };
  const sha = await makeCommit(world.quarantine, commit);
  const pushed = await pushBranch(world.quarantine, {
    remote: world.remote,
    branch: 'coatcheck/issue-1-a',
    sha,
    expected: null,
    signal,
  });
  assert.deepEqual(pushed, { kind: 'pushed' });
  assert.equal(gitAs(world.upstream, ['rev-parse', `coatcheck/issue-1-a^{tree}`]), taken.tree);
});

test('a pack of one megabyte that holds a gigabyte is ended by its limits', async (t) => {
  const world = await quarantineWorld(t);
  const size = 1024 * MiB;
  // A tree, so that it has to be held in memory whole.
  const id = 'a'.repeat(40);
  const entry = Buffer.concat([entryHeader(2, size), deflateSync(Buffer.alloc(size))]);
  const file = fakeBundle(world, bundleWith(world.base, id, [entry]));
  const report = await world.check(file, id);
  assert.ok(statSync(file).size < 2 * MiB);
  assert.deepEqual(
    report.findings.map((one) => one.rule),
    ['over_limits'],
    JSON.stringify(report.findings),
  );
});

/** Bytes that do not compress, the same each time. */
function randomBytes(length: number): Buffer {
  const block = 32;
  const parts = Array.from({ length: length / block }, (_, i) => createHash('sha256').update(String(i)).digest());
  return Buffer.concat(parts);
}
