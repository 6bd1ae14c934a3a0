import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SandboxLimits } from '../../src/policy/limits.ts';
import { containerOptions } from '../../src/sandbox/container-options.ts';
import { thisProcess } from '../../src/sandbox/owner.ts';
import type { SandboxSpec } from '../../src/sandbox/sandbox.ts';

const owner = thisProcess({ deployment: 'unit', host: 'h1' });
const spec: SandboxSpec = {
  image: 'any',
  runtime: 'runsc',
  limits: SandboxLimits.parse({}),
  doorDirectory: '/doors/1',
  capabilities: [],
  services: [],
  onKernel: () => {},
  labels: { task: 't', attempt: '1', purpose: 'work' },
};

test('runc is used only where it is named', () => {
  assert.equal(containerOptions(spec, 'sha256:1', owner, null).HostConfig?.Runtime, 'coatcheck');
  assert.equal(containerOptions({ ...spec, runtime: 'runc' }, 'sha256:1', owner, null).HostConfig?.Runtime, 'runc');
});

test('the door is the only thing of the host inside, and without one there is nothing and no proxy is named', () => {
  const open = containerOptions(spec, 'sha256:1', owner, null);
  assert.deepEqual(open.HostConfig?.Binds, ['/doors/1:/run/coatcheck:ro']);
  assert.ok(open.Env?.includes('HTTPS_PROXY=http://127.0.0.1:3128'));
  const shut = containerOptions({ ...spec, doorDirectory: null }, 'sha256:1', owner, null);
  assert.deepEqual(shut.HostConfig?.Binds, []);
  assert.deepEqual(
    shut.Env?.filter((line) => /^https?_proxy/i.test(line)),
    ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy'],
  );
});

test('a work tree on disk takes the place of the one in memory and of nothing else', () => {
  const { memoryBytes } = spec.limits;
  const onDisk = { ...spec, limits: { ...spec.limits, workIn: 'disk' as const, workBytes: 10 * memoryBytes } };
  const { HostConfig } = containerOptions(onDisk, 'sha256:1', owner, '/disks/1/mount');
  assert.deepEqual(HostConfig?.Binds, ['/doors/1:/run/coatcheck:ro', '/disks/1/mount:/work:rw']);
  const inMemory = containerOptions(spec, 'sha256:1', owner, null).HostConfig?.Tmpfs;
  assert.deepEqual(Object.keys(inMemory ?? {}), ['/work', '/tmp', '/run']);
  assert.deepEqual({ '/work': inMemory?.['/work'], ...HostConfig?.Tmpfs }, inMemory);
});

test('disks that leave no room below the memory limit are refused, as a full one would kill the sandbox', () => {
  const { memoryBytes, tmpBytes } = spec.limits;
  const workBytes = memoryBytes - tmpBytes;
  assert.throws(() => containerOptions({ ...spec, limits: { ...spec.limits, workBytes } }, 'sha256:1', owner, null), {
    code: 'sandbox_limits',
  });
});
