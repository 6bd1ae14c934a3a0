import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Sample, sampleScript } from './samples.ts';
import { Player, Script } from './script.ts';

for (const sample of Sample.options) {
  test(`${sample}: the script's edit fits the sample exactly once`, async () => {
    const script = Script.parse(await sampleScript(sample));
    const edit = script.flatMap(({ calls }) => calls).find(({ tool }) => tool === 'edit');
    assert.ok(edit);
    const file = new URL(`../samples/${sample}/repository/${String(edit.input['path'])}`, import.meta.url);
    assert.equal((await readFile(file, 'utf8')).split(String(edit.input['old'])).length, 2);
  });

  test(`${sample}: planning and working each come to an end`, async () => {
    const player = new Player(await sampleScript(sample));
    const play = (tools: string[]) => {
      const calls: string[] = [];
      for (let turn = 0; turn < 10; turn += 1) {
        const given = player.next({ turn, last: '', all: '', tools });
        if (!given || given.calls.length === 0) return { calls, text: given?.text ?? '' };
        calls.push(...given.calls.map(({ tool }) => tool));
      }
      return assert.fail('it never ends');
    };
    const plan = play(['read', 'list', 'search']);
    assert.deepEqual(plan.calls, ['read']);
    assert.match(plan.text, /^1\. /);
    const work = play(['read', 'list', 'search', 'edit', 'write', 'run']);
    assert.deepEqual(work.calls, ['run', 'edit', 'run']);
    assert.match(work.text, /^.{10,70}\n\n/);
  });
}
