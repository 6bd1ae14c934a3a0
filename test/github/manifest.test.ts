import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { buildManifest, readAppFile, webUrlOf } from '../../src/github/manifest.ts';

const text = await readFile(new URL('../../app.yml', import.meta.url), 'utf8');

describe('app.yml', () => {
  test('asks for exactly these permissions and events', () => {
    const file = readAppFile(text);
    assert.deepEqual(file.default_permissions, {
      contents: 'write',
      issues: 'write',
      pull_requests: 'write',
      checks: 'write',
      metadata: 'read',
    });
    assert.deepEqual(file.default_events, ['issues', 'issue_comment']);
    assert.equal(file.public, false);
  });

  test('says of each permission and event why', () => {
    const lines = text.split('\n');
    for (const [index, line] of lines.entries()) {
      if (/^ {2}(?:- )?[a-z_]+/.test(line)) assert.match(lines[index - 1] ?? '', /^ {2}# \S/, `no comment above ${line}`);
    }
  });

  test('is what the manifest says, and no more than addresses are added', () => {
    const { hook_attributes, redirect_url, ...rest } = buildManifest(readAppFile(text), {
      publicUrl: 'https://coat.test',
      hookUrl: 'https://coat.test/api/github/webhooks',
    });
    assert.deepEqual(rest, parse(text));
    assert.deepEqual(hook_attributes, { url: 'https://coat.test/api/github/webhooks', active: true });
    assert.equal(redirect_url, 'https://coat.test/setup/callback');
  });

  test('that is public, or has a field nobody knows, is refused', () => {
    for (const bad of [text.replace('public: false', 'public: true'), `${text}\nsetup_url: https://x.test\n`]) {
      assert.throws(() => readAppFile(bad), { code: 'app_file_invalid' });
    }
  });
});

test('the web pages that belong to an API address', () => {
  assert.equal(webUrlOf('https://api.github.com'), 'https://github.com');
  assert.equal(webUrlOf('https://ghes.test/api/v3'), 'https://ghes.test');
  assert.equal(webUrlOf('http://127.0.0.1:8080/api/v3/'), 'http://127.0.0.1:8080');
});
