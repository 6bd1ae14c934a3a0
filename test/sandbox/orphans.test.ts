import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isShimOf, parseSandboxProcess } from '../../src/sandbox/orphans.ts';

// As seen of runsc 20240729 below Docker 20.10, shortened.
const argv = [
  'runsc-sandbox',
  '--root=/var/run/docker/runtime-runc/moby',
  '--log-format=json',
  'boot',
  '--bundle=/var/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/fc2a97af03ad',
  '--cpu-num=2',
  'fc2a97af03ad',
];

test('a sandbox is told by its command line', () => {
  assert.deepEqual(parseSandboxProcess(7, `${argv.join('\0')}\0`), {
    pid: 7,
    id: 'fc2a97af03ad',
    root: '/var/run/docker/runtime-runc/moby',
    bundle: '/var/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/fc2a97af03ad',
  });
});

test('other processes are none, nor is one whose id could be taken for an option or a path', () => {
  assert.equal(parseSandboxProcess(7, ['runsc-gofer', ...argv.slice(1)].join('\0')), null);
  assert.equal(parseSandboxProcess(7, ''), null);
  assert.equal(parseSandboxProcess(7, [...argv.slice(0, -1), '../../etc'].join('\0')), null);
});

test('the shim of a container is told by its command line', () => {
  const shim = ['/usr/bin/containerd-shim-runc-v2', '-namespace', 'moby', '-id', 'fc2a97af03ad', '-address', '/run/c.sock', ''];
  assert.ok(isShimOf(shim.join('\0'), 'fc2a97af03ad'));
  assert.ok(!isShimOf(shim.join('\0'), 'fc2a97af03a'));
  assert.ok(!isShimOf(shim.join('\0'), 'moby'));
  assert.ok(!isShimOf(['vi', ...shim].join('\0'), 'fc2a97af03ad'));
  assert.ok(!isShimOf(argv.join('\0'), 'fc2a97af03ad'));
});
