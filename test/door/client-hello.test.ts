import assert from 'node:assert/strict';
import { duplexPair, Readable } from 'node:stream';
import { test } from 'node:test';
import tls from 'node:tls';
import fc from 'fast-check';
import { readTlsClientHello } from 'read-tls-client-hello';
import { readClientHello } from '../../src/door/client-hello.ts';
import { RUNS } from '../property-runs.ts';
import { nodeHello, record, serverName, withExtensions } from './hellos.ts';

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/);
const host = fc.array(label, { minLength: 2, maxLength: 4 }).map((labels) => `${labels.join('.')}.test`);

/** One of Node's own hellos, without a name; the name is put in by hand. */
const nameless = await nodeHello({});
const old = await nodeHello({ maxVersion: 'TLSv1.2', ALPNProtocols: ['h2', 'http/1.1'] });
const named = (hello: Buffer, name: string) => withExtensions(hello, (block) => Buffer.concat([serverName(name), block]));

test('Node’s own hellos are read, with and without a name', async () => {
  assert.deepEqual(readClientHello(await nodeHello({ servername: 'Up.test' })), { kind: 'hello', name: 'up.test' });
  for (const hello of [nameless, old]) assert.deepEqual(readClientHello(hello), { kind: 'hello', name: null });
});

test('a hello is told once it is whole, and in whatever pieces it comes no part of it tells another name', async () => {
  await fc.assert(
    fc.asyncProperty(
      host,
      fc.constantFrom(nameless, old),
      fc.nat(),
      fc.uint8Array({ maxLength: 40 }),
      async (name, base, at, rest) => {
        const hello = named(base, name);
        const part = hello.subarray(0, at % hello.length);
        assert.deepEqual(readClientHello(part), { kind: 'incomplete' });
        const whole = Buffer.concat([hello, rest]);
        assert.deepEqual(readClientHello(whole), { kind: 'hello', name }, 'what follows belongs to later');
      },
    ),
    { numRuns: RUNS },
  );
});

test('a hello over several records is refused, wherever it is parted', async () => {
  const hello = named(nameless, 'up.test');
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: hello.length - 6 }), async (at) => {
      const parted = Buffer.concat([record(hello.subarray(5, 5 + at)), record(hello.subarray(5 + at))]);
      assert.equal(readClientHello(parted).kind, 'refused');
    }),
    { numRuns: Math.min(RUNS, hello.length) },
  );
});

test('bytes that are no hello never give a name', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), fc.boolean(), async (bytes, dressed) => {
      const sent = dressed ? record(Buffer.concat([Buffer.from([1]), bytes])) : Buffer.from(bytes);
      const hello = readClientHello(sent);
      assert.ok(hello.kind !== 'hello' || hello.name === null, JSON.stringify(hello));
    }),
    { numRuns: RUNS },
  );
});

/** What OpenSSL takes for the name in a hello: null for none, undefined when it does not go on with it. */
async function nameAtServer(bytes: Buffer): Promise<string | null | undefined> {
  const [wire, server] = duplexPair();
  let seen: string | null | undefined;
  const secure = new tls.TLSSocket(server, {
    isServer: true,
    SNICallback: (name, done) => {
      seen = name;
      done(new Error('seen'));
    },
  });
  const over = new Promise<void>((resolve) => {
    secure.once('error', () => resolve());
    secure.once('close', () => resolve());
    // An alert or a hello of the server's own: it has read what it was sent.
    wire.once('data', () => resolve());
  });
  wire.write(bytes);
  wire.end();
  await over;
  secure.destroy();
  wire.destroy();
  return seen;
}

test('a name that is read is the name that a real TLS server reads, however a hello was tampered with', async () => {
  assert.equal(await nameAtServer(named(nameless, 'up.test')), 'up.test', 'positive control');
  let read = 0;
  const change = fc.record({ at: fc.nat(), to: fc.integer({ min: 0, max: 255 }) });
  await fc.assert(
    fc.asyncProperty(
      host,
      fc.constantFrom(nameless, old),
      fc.array(change, { minLength: 0, maxLength: 3 }),
      async (name, base, changes) => {
        const hello = named(base, name);
        // Lengths, names and types stand in the first part; most changes behind it only spoil a key.
        for (const { at, to } of changes) hello[at % Math.min(hello.length, 260)] = to;
        const ours = readClientHello(hello);
        if (ours.kind !== 'hello' || ours.name === null) return;
        const theirs = await nameAtServer(hello);
        read++;
        // A server that refuses the hello as a whole reads no name; another name it must not read.
        if (theirs !== undefined) assert.equal(theirs?.toLowerCase(), ours.name);
      },
    ),
    { numRuns: RUNS },
  );
  assert.ok(read > RUNS / 10, `${read} names were compared`);
});

/** What the maintained parser takes for the name when it reads the whole hello by itself. */
async function nameAtParser(bytes: Buffer): Promise<string | null> {
  const { extensions } = await readTlsClientHello(Readable.from([bytes], { objectMode: false }));
  const data = extensions.find(({ id }) => id === 0)?.data ?? null;
  const name = data === null ? null : data['serverName'];
  return typeof name === 'string' ? name.toLowerCase() : null;
}

test('a hello that is read is read by the maintained parser the same, however it was tampered with', async () => {
  let read = 0;
  const change = fc.record({ at: fc.nat(), to: fc.integer({ min: 0, max: 255 }) });
  await fc.assert(
    fc.asyncProperty(
      host,
      fc.constantFrom(nameless, old),
      fc.boolean(),
      fc.array(change, { maxLength: 4 }),
      async (name, base, naming, changes) => {
        const hello = naming ? named(base, name) : Buffer.from(base);
        for (const { at, to } of changes) hello[5 + (at % (hello.length - 5))] = to;
        const ours = readClientHello(hello);
        if (ours.kind !== 'hello') return;
        read++;
        assert.equal(await nameAtParser(hello), ours.name);
      },
    ),
    { numRuns: RUNS },
  );
  assert.ok(read > RUNS / 10, `${read} hellos were compared`);
});

test('of two names in one hello none is read, in whatever way they are put', async () => {
  const pairs = [
    withExtensions(nameless, (block) => Buffer.concat([serverName('up.test', 'other.test'), block])),
    withExtensions(nameless, (block) => Buffer.concat([serverName('up.test'), block, serverName('other.test')])),
  ];
  for (const hello of pairs) assert.equal(readClientHello(hello).kind, 'refused');
});
