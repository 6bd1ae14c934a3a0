import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import examples from '@octokit/webhooks-examples' with { type: 'json' };
import fc from 'fast-check';
import { z } from 'zod';
import { IssueSnapshot, RepositoryRef } from '../../src/task/task.ts';
import { readDelivery } from '../../src/triggers/read-delivery.ts';
import { BODY_CHARS } from '../../src/triggers/snapshot.ts';
import type { TriggerSettings } from '../../src/triggers/trigger.ts';

const settings: TriggerSettings = {
  label: 'coatcheck',
  assignee: 'coat-hand',
  appId: 77,
  appSlug: 'coatcheck-acme',
  botUserId: 4242,
};

const repository = {
  id: 9,
  name: 'sample',
  full_name: 'acme/sample',
  owner: { login: 'acme', id: 3 },
  private: true,
  default_branch: 'trunk',
  archived: false,
};
const sender = { id: 5, login: 'ann', type: 'User' };
const issue = { number: 12, title: 'Fix add', body: 'It subtracts.', state: 'open', user: { id: 6, login: 'bob' } };
const labeled = { action: 'labeled', label: { name: 'Coatcheck' }, issue, repository, sender, installation: { id: 8 } };
const assigned = { ...labeled, action: 'assigned', label: undefined, assignee: { login: 'Coat-Hand', id: 50 } };
const comment = { ...labeled, action: 'created', comment: { id: 31, body: '/coatcheck stop', user: sender } };

describe('a task', () => {
  test('is asked for by the label', () => {
    assert.deepEqual(readDelivery('issues', labeled, settings), {
      kind: 'task',
      trigger: 'issues.labeled',
      installation: 8,
      repository: { id: 9, owner: 'acme', name: 'sample', private: true, defaultBranch: 'trunk' },
      actor: { id: 5, login: 'ann' },
      issue: { number: 12, title: 'Fix add', body: 'It subtracts.', author: { id: 6, login: 'bob' }, hiddenSpansRemoved: 0 },
      label: 'Coatcheck',
    });
  });

  test('is asked for by assignment, when an assignee is configured', () => {
    const read = readDelivery('issues', assigned, settings);
    assert.ok(read.kind === 'task' && read.trigger === 'issues.assigned' && !('label' in read));
    assert.equal(readDelivery('issues', assigned, { ...settings, assignee: null }).kind, 'ignored');
  });

  const taken = (body: string | null) => {
    const read = readDelivery('issues', { ...labeled, issue: { ...issue, body } }, settings);
    assert.ok(read.kind === 'task');
    IssueSnapshot.parse(read.issue);
    RepositoryRef.parse(read.repository);
    return read.issue;
  };

  test('takes an empty body, emoji and right-to-left text as they are', () => {
    assert.equal(taken(null).body, '');
    assert.equal(taken('').body, '');
    assert.equal(taken('👩‍💻 שלום').body, '👩‍💻 שלום');
  });

  test('cuts a body of 1 MB, with a mark', () => {
    const { body } = taken('😀'.repeat(250_000));
    assert.ok(body.length <= BODY_CHARS && body.length > BODY_CHARS - 10);
    assert.match(body, /^😀+\n\n\[cut here: [^\]]+\]$/u);
  });

  test('has no hidden text, and says how many spans there were', () => {
    const snapshot = taken('a <!-- EVIL --> b\u202e');
    assert.equal(snapshot.body, 'a  b');
    assert.equal(snapshot.hiddenSpansRemoved, 2);
  });

  test('takes a deleted author', () => {
    const read = readDelivery('issues', { ...labeled, issue: { ...issue, user: null } }, settings);
    assert.ok(read.kind === 'task');
    assert.equal(read.issue.author.login, 'ghost');
  });
});

describe('no task', () => {
  const ignoredCases: Record<string, [string, unknown]> = {
    'another label': ['issues', { ...labeled, label: { name: 'bug' } }],
    'another assignee': ['issues', { ...assigned, assignee: { login: 'ann' } }],
    'the label taken off': ['issues', { ...labeled, action: 'unlabeled' }],
    'own action': ['issues', { ...labeled, sender: { id: 4242, login: 'renamed[bot]' } }],
    'another event': ['push', labeled],
    'own action over refusal': ['issues', { ...labeled, sender: { id: 4242, login: 'x' }, repository: {} }],
  };
  for (const [name, [event, payload]] of Object.entries(ignoredCases)) {
    test(`ignored: ${name}`, () => assert.equal(readDelivery(event, payload, settings).kind, 'ignored'));
  }

  const at = {
    installation: 8,
    repository: { id: 9, owner: 'acme', name: 'sample', private: true, defaultBranch: 'trunk' },
    actor: { id: 5, login: 'ann' },
    issue: 12,
  };
  const refusedCases: Record<string, [unknown, RegExp]> = {
    'a pull request': [{ ...labeled, issue: { ...issue, pull_request: { url: 'x' } } }, /pull request/],
    'a closed issue': [{ ...labeled, issue: { ...issue, state: 'closed' } }, /closed/],
    'an archived repository': [{ ...labeled, repository: { ...repository, archived: true } }, /archived/],
    'an issue without a title': [{ ...labeled, issue: { ...issue, title: 7 } }, /issue\.title/],
  };
  for (const [name, [payload, why]] of Object.entries(refusedCases)) {
    test(`refused with the place to say so: ${name}`, () => {
      const read = readDelivery('issues', payload, settings);
      assert.ok(read.kind === 'refused');
      assert.match(read.why, why);
      assert.deepEqual(read.at, at);
    });
  }

  test('refused: a bot, by its type and by its name', () => {
    for (const bot of [
      { ...sender, type: 'Bot' },
      { id: 5, login: 'other[bot]' },
    ]) {
      const read = readDelivery('issues', { ...labeled, sender: bot }, settings);
      assert.ok(read.kind === 'refused' && /bot/.test(read.why));
    }
  });

  test('refused without a place: a delivery of no installation', () => {
    const read = readDelivery('issues', { ...labeled, installation: undefined }, settings);
    assert.ok(read.kind === 'refused' && read.at === null);
  });
});

describe('stop', () => {
  const stop = (body: string, change: object = {}) =>
    readDelivery('issue_comment', { ...comment, ...change, comment: { id: 31, body, ...change } }, settings).kind;

  test('is asked for by a comment', () => {
    const read = readDelivery('issue_comment', comment, settings);
    assert.ok(read.kind === 'stop');
    assert.deepEqual([read.issue, read.commentId, read.onPullRequest, read.actor.login], [12, 31, false, 'ann']);
  });

  for (const body of [
    '/coatcheck stop',
    ' /Coatcheck  STOP ',
    '@coatcheck-acme stop',
    '@coatcheck-acme[bot] stop.',
    'Please:\r\n/coatcheck stop\r\n',
  ]) {
    test(`asked: ${JSON.stringify(body)}`, () => assert.equal(stop(body), 'stop'));
  }
  for (const body of [
    '> /coatcheck stop',
    '```\n/coatcheck stop\n```',
    '<!--\n/coatcheck stop\n-->',
    'do not write /coatcheck stop',
    '/coatcheck stop it from failing',
    '/coatcheck stopwatch',
    '@coatcheck stop',
    '',
  ]) {
    test(`not asked: ${JSON.stringify(body)}`, () => assert.equal(stop(body), 'ignored'));
  }

  test('not asked by an edit, by a bot, or through our own App', () => {
    assert.equal(stop('/coatcheck stop', { action: 'edited' }), 'ignored');
    assert.equal(stop('/coatcheck stop', { sender: { ...sender, type: 'Bot' } }), 'ignored');
    assert.equal(stop('/coatcheck stop', { performed_via_github_app: { id: 77 } }), 'ignored');
    assert.equal(stop('/coatcheck stop', { performed_via_github_app: { id: 78 } }), 'stop');
  });
});

describe('any payload', () => {
  const Example = z.array(z.looseObject({ name: z.string(), examples: z.array(z.unknown()) }));

  test("each of GitHub's published examples is read", () => {
    const kinds = new Map<string, number>();
    let count = 0;
    for (const definition of Example.parse(examples)) {
      for (const payload of definition.examples) {
        const { kind } = readDelivery(definition.name, payload, settings);
        kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
        count += 1;
      }
    }
    assert.ok(count > 200, `only ${count} examples`);
    assert.equal(kinds.get('ignored'), count);
  });

  test("GitHub's example of a label becomes a task under its own label, once it has an installation", () => {
    const example = Example.parse(examples)
      .filter((definition) => definition.name === 'issues')
      .flatMap((definition) => definition.examples)
      .find((payload) => z.looseObject({ action: z.literal('labeled') }).safeParse(payload).success);
    const parsed = z.looseObject({ label: z.looseObject({ name: z.string() }) }).parse(example);
    const own = { ...settings, label: parsed.label.name };
    assert.equal(readDelivery('issues', { ...parsed, installation: { id: 8 } }, own).kind, 'task');
    assert.equal(readDelivery('issues', { ...parsed, installation: undefined }, own).kind, 'refused');
  });

  test('no payload makes it throw', () => {
    const events = fc.constantFrom('issues', 'issue_comment', 'push', '', '__proto__');
    const mutated = fc.tuple(
      fc.constantFrom(labeled, assigned, comment),
      fc.dictionary(fc.constantFrom(...Object.keys(comment)), fc.anything()),
    );
    const payload = fc.oneof(
      fc.anything({ withBigInt: true, withNullPrototype: true }),
      mutated.map(([base, change]) => ({ ...base, ...change })),
    );
    fc.assert(
      fc.property(events, payload, (event, value) => {
        assert.match(readDelivery(event, value, settings).kind, /^(?:task|stop|ignored|refused)$/);
      }),
      { numRuns: 3000 },
    );
  });
});
