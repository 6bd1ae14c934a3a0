import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { docker } from './real-sandbox.ts';
import { type EventOf, eventsOf, type Outcome, run, scenario, startWay, type Way, write } from './way.ts';

const MAKEFILE = 'test: a\n\t./a\na: a.c\n\tgcc -o a a.c\n';
const RULES = '## Commands\n\n- `make test` - test\n';

let way: Way;
let outcome: Outcome;

before(async () => {
  const calls = [write('a.c', 'int main(void) { return 0; }\n'), run('make -B a && curl -s http://127.0.0.1:3128/ ; true')];
  way = await startWay({ script: scenario('case-witness', { rounds: [[{ calls }, { text: 'Return 0' }]] }) });
  const files = { Makefile: MAKEFILE, 'a.c': 'int main(void) { return 1; }\n', '.gitignore': 'a\n', 'AGENTS.md': RULES };
  const running = await way.begin({ title: 'case-witness', files });
  const created = await running.event('sandbox.created', ({ purpose }) => purpose === 'work');
  await intrude(created.sandbox);
  outcome = await running.outcome;
});

after(() => way.close());

/** Starts something past the driver, as an operator's curious hand or somebody on the host would. */
async function intrude(sandbox: string): Promise<void> {
  const exec = await docker.getContainer(sandbox).exec({ User: '1000:1000', Cmd: ['sleep', '0.02'], AttachStdout: true });
  for await (const _ of await exec.start({ hijack: true, stdin: false })) {
    // Until it has ended.
  }
}

/** Everything that the kernels saw, with the purpose of the sandbox. */
function seen(): (EventOf<'kernel.saw'>['processes'][number] & { purpose: string })[] {
  const purposes = new Map(eventsOf(outcome.events, 'sandbox.created').map(({ sandbox, purpose }) => [sandbox, purpose]));
  return eventsOf(outcome.events, 'kernel.saw').flatMap(({ sandbox, processes }) =>
    processes.map((process) => ({ ...process, purpose: purposes.get(sandbox) ?? '' })),
  );
}

test('the agent’s own account and the kernel’s are joined by the command’s number', () => {
  assert.equal(outcome.end.task.state, 'ready', outcome.end.task.message);
  const tool = eventsOf(outcome.events, 'agent.tool').find(({ tool: name }) => name === 'run');
  const [number] = tool?.numbers ?? [];
  assert.ok(number !== undefined);
  const programs = seen().flatMap(({ purpose, command, executable }) =>
    purpose === 'work' && command === number ? [executable.split('/').at(-1)] : [],
  );
  for (const program of ['bash', 'make', 'gcc', 'cc1', 'as', 'ld', 'curl']) assert.ok(programs.includes(program), program);
  const connects = eventsOf(outcome.events, 'kernel.saw').flatMap((event) => event.connects);
  assert.ok(connects.some(({ command, to }) => command === number && to === '127.0.0.1:3128'));
});

test('so are the runner’s commands, in every sandbox, and the witness is the kernel', () => {
  const ran = eventsOf(outcome.events, 'command.ran').find(({ result }) => result.phase === 'clean_room');
  assert.ok(ran?.number !== undefined);
  assert.ok(
    seen().some(
      ({ purpose, command, executable }) => purpose === 'clean_room' && command === ran.number && executable.endsWith('/cc1'),
    ),
  );
  const witnesses = outcome.events.flatMap(({ event, witness }) => (event.type.startsWith('kernel.') ? [witness] : []));
  assert.deepEqual([...new Set(witnesses)], ['kernel']);
  const sandboxes = eventsOf(outcome.events, 'sandbox.created').map(({ sandbox }) => sandbox);
  const summaries = eventsOf(outcome.events, 'kernel.summary');
  assert.deepEqual(summaries.map(({ sandbox }) => sandbox).sort(), sandboxes.sort());
  assert.deepEqual([...new Set(summaries.map(({ incomplete }) => incomplete))], [null]);
});

test('what nobody recorded had started is flagged in the record, on the page, in the comment and in the check; nothing else is', async () => {
  const strangers = seen().filter(({ command }) => command === null);
  assert.deepEqual(
    strangers.map(({ purpose, argv }) => [purpose, ...argv]),
    [['work', 'sleep 0.02']],
  );
  const warned = /1 of them descend from no recorded command/;
  assert.match(await way.page(outcome), warned);
  assert.match(outcome.issue.comments[0]?.body ?? '', warned);
  const check = outcome.state.checkRuns.find(({ repository }) => repository === outcome.repository);
  assert.match(check?.summary ?? '', /What the kernel saw[\s\S]*- ` sleep 0\.02 `/);
});
