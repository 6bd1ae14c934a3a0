import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressProblem, cidrProblem } from '../../src/policy/address.ts';
import { RUNS } from '../property-runs.ts';

test('addresses that are not the public internet are refused, in every embedding', () => {
  const refused = [
    ['0.0.0.0', '0.1.2.3', '10.0.0.1', '100.64.0.1', '100.127.255.255', '127.0.0.1', '127.255.255.254', '169.254.0.1'],
    ['169.254.169.254', '172.16.0.1', '172.31.255.255', '192.168.1.1', '198.18.0.1', '168.63.129.16', '224.0.0.1', '240.0.0.1'],
    ['255.255.255.255', '::', '::1', 'fe80::1', 'fc00::1', 'fd00:ec2::254', 'ff02::1', 'fec0::1', '64:ff9b:1::1', '2001::1'],
    ['::ffff:10.0.0.1', '::10.0.0.1', '64:ff9b::a00:1', '2002:a00:1::1', '::ffff:0:127.0.0.1', '64:ff9b::a9fe:a9fe'],
  ].flat();
  for (const address of refused) assert.notEqual(addressProblem(address, []), null, address);
  const passed = ['1.1.1.1', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '126.255.255.255', '172.15.255.255'];
  const more = ['172.32.0.0', '192.0.2.1', '198.51.100.1', '203.0.113.80', '223.255.255.255', '2606:4700::1', '64:ff9b::101:101'];
  for (const address of [...passed, ...more]) assert.equal(addressProblem(address, []), null, address);
  assert.match(addressProblem('169.254.169.254', []) ?? '', /metadata/);
  assert.notEqual(addressProblem('not an address', []), null);
});

test('a rule opens exactly the networks that it names', () => {
  assert.equal(addressProblem('10.1.2.3', ['10.1.0.0/16']), null);
  assert.notEqual(addressProblem('10.2.2.3', ['10.1.0.0/16']), null);
  assert.equal(addressProblem('::ffff:10.1.2.3', ['10.1.0.0/16']), null);
  assert.equal(addressProblem('::1', ['127.0.0.0/8', '::1/128']), null);
  assert.notEqual(addressProblem('::1', ['127.0.0.0/8']), null);
  assert.equal(cidrProblem('10.1.0.0/16'), null);
  assert.match(cidrProblem('10.1.0.0') ?? '', /CIDR/);
});

test('every IPv4 verdict is the same inside IPv6', () => {
  fc.assert(
    fc.property(fc.ipV4(), (address) => {
      assert.equal(addressProblem(`::ffff:${address}`, []), addressProblem(address, []));
    }),
    { numRuns: RUNS },
  );
});
