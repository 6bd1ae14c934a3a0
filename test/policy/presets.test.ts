import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { CoatcheckError } from '../../src/errors.ts';
import { loadPresets } from '../../src/policy/presets.ts';

const code =
  (expected: string, text: RegExp = /./) =>
  (error: unknown) =>
    error instanceof CoatcheckError && error.code === expected && text.test(error.message);

test('the presets that ship read only, in set-up only', () => {
  const presets = loadPresets(['npm', 'pypi', 'debian', 'crates', 'maven']);
  assert.equal(presets.size, 5);
  for (const [name, rules] of presets) {
    assert.ok(rules.length > 0);
    for (const rule of rules) {
      assert.equal(rule.id, `preset:${name}`);
      assert.deepEqual(rule.methods, ['GET', 'HEAD']);
      assert.deepEqual(rule.phases, ['setup']);
      assert.deepEqual(rule.privateAddresses, []);
    }
  }
});

test('a name is a name and not a path', () => {
  for (const name of ['nothing', '../default', '/etc/passwd', 'npm.yaml', ''])
    assert.throws(() => loadPresets([name]), code('preset_unknown'));
});

test('what an allowlist may not hold fails with file, line and the reason', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'coatcheck-presets-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const load = (host: string) => {
    writeFileSync(join(directory, 'mine.yaml'), `description: mine\nrules:\n  - host: ${host}\n`);
    return loadPresets(['mine'], directory);
  };
  assert.equal(load('example.test').get('mine')?.[0]?.host, 'example.test');
  for (const host of ['"*.com"', '"*"', '"a.test\\n"', '"a.test#b"', '"a b.test"'])
    assert.throws(() => load(host), code('configuration_invalid', /mine\.yaml:3:11: .*(too broad|character)/s), host);
  assert.throws(() => load('a.test\n    verbs: [GET]'), code('configuration_invalid', /mine\.yaml:4:5: unknown key "verbs"/));
});
