import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ending } from '../../src/control/ending.ts';
import {
  endingOf,
  messageParagraphs,
  plainText,
  reasonWords,
  STATE_WORDS,
  STEP_WORDS,
  stepLines,
  stepName,
} from '../../src/control/words.ts';
import { EndReason, isEnd, TASK_MOVES, TaskState } from '../../src/task/task.ts';
import { recorded } from './task.fixture.ts';

describe('endings', () => {
  test('every reason has words and ends in a state that a task can come to from its publication or its run', () => {
    const reachable = new Set([...TASK_MOVES.running, ...TASK_MOVES.publishing, ...TASK_MOVES.queued].filter(isEnd));
    for (const reason of EndReason.options) {
      const { state, message } = ending(reason);
      assert.ok(reachable.has(state), `${reason}: ${state}`);
      assert.match(message, /\.$/, reason);
    }
  });

  test('reasons that are nobody’s failure do not end as one', () => {
    assert.equal(ending('nothing_changed').state, 'no_change');
    assert.equal(ending('wall_limit').state, 'timed_out');
    assert.equal(ending('stopped').state, 'cancelled');
    for (const reason of ['policy', 'quarantine'] as const) assert.equal(ending(reason).state, 'refused');
    assert.equal(ending('approval_needed').state, 'held');
    for (const reason of ['host_lost', 'out_of_memory', 'internal', 'token_limit'] as const)
      assert.equal(ending(reason).state, 'failed');
  });

  test('who saw it may say more', () => {
    assert.equal(ending('setup_failed', 'npm ci: 1').message, `${reasonWords('setup_failed')} npm ci: 1`);
  });

  test('only a change that passed is ready', () => {
    assert.deepEqual(
      [
        endingOf({ kind: 'passed' }),
        endingOf({ kind: 'failed', commands: ['npm test'] }),
        endingOf({ kind: 'nothing_to_verify' }),
        endingOf({ kind: 'own_yardstick_only', commands: ['npm test'] }),
        endingOf({ kind: 'unjudged', why: 'the sandbox died' }),
      ].map(({ state, reason }) => `${state} ${reason}`),
      ['ready verified', 'draft verification_failed', 'draft nothing_to_verify', 'draft own_yardstick_only', 'draft unjudged'],
    );
    assert.match(endingOf({ kind: 'failed', commands: ['npm test'] }).message, /npm test/);
  });
});

test('every state has words', () => {
  for (const state of TaskState.options) assert.ok(STATE_WORDS[state].length > 3);
});

describe('step lines', () => {
  test('are in the order of their beginnings, with time and outcome once they ended', () => {
    const lines = stepLines(
      recorded(
        { type: 'step.started', step: 'sandbox' },
        { type: 'step.started', step: 'door' },
        { type: 'step.ended', step: 'door', ok: false, ms: 5 },
        { type: 'step.ended', step: 'sandbox', ok: true, ms: 9 },
        { type: 'step.started', step: 'plan' },
      ),
    );
    assert.deepEqual(
      lines.map(({ step, state, ms }) => [step, state, ms]),
      [
        ['sandbox', 'ok', 9],
        ['door', 'failed', 5],
        ['plan', 'running', null],
      ],
    );
  });

  test('rounds, and the same step begun twice, are told apart', () => {
    const lines = stepLines(
      recorded(
        { type: 'step.started', step: 'work', round: 1 },
        { type: 'step.ended', step: 'work', round: 1, ok: true, ms: 1 },
        { type: 'step.started', step: 'work', round: 2 },
        { type: 'step.started', step: 'publish' },
        { type: 'step.ended', step: 'publish', ok: false, ms: 2 },
        { type: 'step.started', step: 'publish' },
        { type: 'step.ended', step: 'publish', ok: true, ms: 3 },
        // A beginning that is not there has no line.
        { type: 'step.ended', step: 'revoke', ok: true, ms: 3 },
      ),
    );
    assert.deepEqual(
      lines.map((line) => `${stepName(line)} ${line.state} ${line.ms}`),
      [
        `${STEP_WORDS.work} (round 1) ok 1`,
        `${STEP_WORDS.work} (round 2) running null`,
        `${STEP_WORDS.publish} failed 2`,
        `${STEP_WORDS.publish} ok 3`,
      ],
    );
  });
});

test('nothing acts on what a command printed', () => {
  assert.equal(plainText('\u001b[31mred\u001b[0m\tand\nplain'), 'red\tand\nplain');
  assert.equal(plainText('a\u001b]0;title\u0007b'), 'a·]0;title·b');
  assert.equal(plainText('user\u202egnp.exe \u2066x\u2069 \u200b\ufeff\r'), 'user·gnp.exe ·x· ····'.replace(' ····', ' ···'));
  assert.equal(plainText('Grüße 😀 שלום'), 'Grüße 😀 שלום');
});

test('a message written for GitHub is paragraphs on our page, without its list and its code marks', () => {
  const message = 'It is held.\n\n- ` a\u001b[31m `: secret\n\nKept until ``2026``; see `quarantine`.\n\n';
  assert.deepEqual(messageParagraphs(message), ['It is held.', 'Kept until 2026; see quarantine.']);
  assert.deepEqual(messageParagraphs('One\u202e line.'), ['One· line.']);
});
