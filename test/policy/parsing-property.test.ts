/** Whatever stands in a policy file, it is read or refused with places; nothing else is ever thrown. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { CoatcheckError } from '../../src/errors.ts';
import { parseOperatorConfig } from '../../src/policy/operator-config.ts';
import { parseOrganisationConfig } from '../../src/policy/organisation-config.ts';
import { parseRepositoryConfig } from '../../src/policy/repository-config.ts';
import { RUNS } from '../property-runs.ts';

const GRANTS: Record<string, unknown>[] = [
  { id: 'a', host: 'a.test', ports: [443], methods: ['GET'], paths: ['/x'], phases: ['agent'], credential: { env: 'TOKEN' } },
  { id: 'b', how: 'tunnel', host: '*.b.test', expires: '2027-01-31T00:00:00Z' },
  {
    id: 'c',
    how: 'service',
    host: 'c.test',
    port: 5432,
    listen: 5432,
    privateAddresses: ['10.0.0.0/8'],
    expires: '2027-01-31T00:00:00Z',
  },
  { id: 'd', how: 'repository', repository: 'octo/lib' },
];
const OPERATOR = {
  installations: [7, 'octo'],
  runtime: { allow: ['runsc'], require: ['own_kernel'] },
  egress: { presets: ['npm'], on_request: ['go'], grants: GRANTS },
  limits: { memory: '4 GiB', turns: 10 },
  quarantine: { binary: 'hold', large_file_size: '2 MiB' },
  models: [{ name: 'm', dialect: 'openai-chat', base_url: 'http://m.test/v1', vendor_features: ['web_fetch'] }],
};
const LEVEL = { egress: ['npm'], limits: { wall: '5 min' }, quarantine: { secret: 'refuse' }, protect: ['a/**'] };

const value = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    '',
    'inspect',
    'tunnel',
    -1,
    0,
    443,
    1.5,
    true,
    [],
    {},
    '*',
    '10.0.0.0/8',
    '5 min',
    '__proto__',
    '\0',
  ),
  fc.jsonValue({ maxDepth: 2 }),
);
const key = fc.constantFrom(
  'how',
  'id',
  'host',
  'ports',
  'paths',
  'expires',
  'credential',
  'require',
  'presets',
  'grants',
  'turns',
  'constructor',
  'x y',
);

/** The places of a document: every path to a member. */
function placesOf(at: unknown, path: (string | number)[] = []): (string | number)[][] {
  if (typeof at !== 'object' || at === null) return [path];
  return [
    path,
    ...Object.entries(at).flatMap(([name, member]) => placesOf(member, [...path, Array.isArray(at) ? Number(name) : name])),
  ];
}

/** The document with one place in it set, taken away, or given one more member. */
function disturbed(document: unknown, at: number, how: 'set' | 'drop' | 'add', name: string, put: unknown): unknown {
  const copy: unknown = structuredClone(document);
  const places = placesOf(copy);
  const path = places[at % places.length] ?? [];
  const holder = path.slice(0, -1).reduce<unknown>((here, step) => Reflect.get(Object(here), step), copy);
  const last = path.at(-1);
  if (last === undefined) return how === 'add' ? { ...Object(copy), [name]: put } : put;
  if (how === 'set') Reflect.set(Object(holder), last, put);
  else if (how === 'drop') Reflect.deleteProperty(Object(holder), last);
  else Reflect.set(Object(Reflect.get(Object(holder), last)), name, put);
  return copy;
}

const readers = [
  { name: 'operator', good: OPERATOR, read: (text: string) => void parseOperatorConfig(text, 'f.yml') },
  {
    name: 'organisation',
    good: { ...LEVEL, models: ['m'] },
    read: (text: string) => void parseOrganisationConfig(text, 'f.yml'),
  },
  {
    name: 'repository',
    good: { ...LEVEL, commands: { test: 'x' }, model: 'm' },
    read: (text: string) => void parseRepositoryConfig(text, 'f.yml'),
  },
];

for (const { name, good, read } of readers) {
  test(`${name}: a good file with a mistake anywhere is read or refused with its place`, () => {
    read(stringify(good));
    let refused = 0;
    const mistake = fc.record({ at: fc.nat(200), how: fc.constantFrom('set', 'drop', 'add'), name: key, put: value });
    fc.assert(
      fc.property(fc.array(mistake, { minLength: 1, maxLength: 2 }), (mistakes) => {
        const document = mistakes.reduce<unknown>((here, m) => disturbed(here, m.at, m.how, m.name, m.put), good);
        try {
          read(stringify(document));
        } catch (thrown) {
          refused++;
          assert.ok(thrown instanceof CoatcheckError && thrown.code === 'configuration_invalid', String(thrown));
          for (const line of thrown.message.split('\n')) assert.match(line, /^f\.yml:[1-9]\d*:[1-9]\d*: |^… and \d+ more$|^ /);
        }
      }),
      { numRuns: Math.ceil(RUNS / readers.length) },
    );
    assert.ok(refused > RUNS / 20, `${refused} mistakes were refused`);
  });
}
