import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { labelsOf, type Owner, ownerIsGone, processStarted, thisProcess } from '../../src/sandbox/owner.ts';

const self = thisProcess({ deployment: 'unit', host: 'h1' });
const labels = (change: Partial<Owner> = {}) => labelsOf({ ...self, ...change }, { task: 't', attempt: '1', purpose: 'work' });

test('a living owner is not gone, whichever host it is', () => {
  assert.equal(ownerIsGone(labels(), self), false);
  assert.equal(ownerIsGone(labels({ host: 'h2' }), self), false);
});

test('an owner is gone when its process is, and a reused process id does not hide that', async () => {
  const child = spawn('sleep', ['100']);
  const started = processStarted(child.pid ?? 0) ?? '';
  const theirs = labels({ pid: child.pid ?? 0, started });
  assert.equal(ownerIsGone(theirs, self), false);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(ownerIsGone(theirs, self), true);
  assert.equal(ownerIsGone(labels({ started: '1' }), self), true);
});

test('after a restart of the machine only the own host is judged', () => {
  assert.equal(ownerIsGone(labels({ boot: 'other' }), self), true);
  assert.equal(ownerIsGone(labels({ boot: 'other', host: 'h2' }), self), false);
});

test('what cannot be judged stays: other deployments, other PID namespaces, containers of others', () => {
  const dead = { pid: 4_194_304, started: '1' };
  assert.equal(ownerIsGone(labels(dead), self), true);
  assert.equal(ownerIsGone(labels({ ...dead, deployment: 'other' }), self), false);
  assert.equal(ownerIsGone(labels({ ...dead, pidns: 'pid:[1]' }), self), false);
  assert.equal(ownerIsGone({}, self), false);
});
