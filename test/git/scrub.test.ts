import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scrub } from '../../src/git/scrub.ts';

const OLD = `ghs_${'aB3xY9'.repeat(6)}`;
const NEW = `ghs_${Array.from({ length: 10 }, (_, i) => `${i}Zy-_q`.repeat(8)).join('.')}`;

/** Whether any eight characters in a row of what must not be seen are still in a text. */
const leaks = (text: string, secret: string): boolean =>
  Array.from({ length: secret.length - 7 }, (_, i) => secret.slice(i, i + 8)).some((part) => text.includes(part));

for (const [form, token] of [
  ['old', OLD],
  ['new', NEW],
] as const) {
  test(`a token of the ${form} form is taken out as it is and in Base64, whatever stands before and behind`, () => {
    for (const before of ['', 'x', 'xy', 'x-access-token:', 'Authorization: token ']) {
      for (const behind of ['', '@', '\n\n', 'yy']) {
        const plain = scrub(`fatal: ${before}${token}${behind} end`, [token]);
        assert.equal(plain, `fatal: ${before}[secret]${behind} end`);
        for (const encoding of ['base64', 'base64url'] as const) {
          const encoded = Buffer.from(`${before}${token}${behind}`).toString(encoding);
          const core = Buffer.from(token).toString(encoding).slice(0, -4);
          const text = scrub(`header: ${encoded} end`, [token]);
          assert.ok(text.startsWith('header: ') && text.endsWith(' end') && text.includes('[secret]'), `${before}|${behind}`);
          assert.ok(
            !text.includes(core) &&
              text.length < 'header:  end'.length + '[secret]'.length + before.length * 2 + behind.length * 2 + 12,
          );
        }
      }
    }
  });

  test(`a token of the ${form} form that is cut off at the end leaves nothing of use`, () => {
    for (let length = 8; length < token.length; length++)
      assert.ok(!leaks(scrub(`url ${token.slice(0, length)}`, [token]), token), String(length));
  });
}

test('what is no secret stays', () => {
  assert.equal(scrub('fatal: repository not found', [OLD]), 'fatal: repository not found');
  assert.equal(scrub('nothing to hide', ['']), 'nothing to hide');
});
