import { styleText } from 'node:util';
import type { RecordedEvent } from '../../audit/events.ts';
import { duration } from '../../audit/markdown.ts';
import { plainText, STEP_WORDS } from '../../control/words.ts';

const OUTPUT_LINES = 12;

/** Follows a task in the terminal like a CI log: steps with their times, what the agent says and does, what commands come to. */
export function terminal(write: (line: string) => void) {
  const dim = (text: string) => styleText('dim', text);
  const mark = (ok: boolean) => (ok ? styleText('green', '✓') : styleText('red', '✗'));
  const indented = (text: string) =>
    plainText(text)
      .split('\n')
      .slice(0, OUTPUT_LINES)
      .map((line) => `      ${line}`)
      .join('\n');
  let startedAt: number | null = null;

  return (recorded: RecordedEvent): void => {
    const { event } = recorded;
    const at = Date.parse(recorded.at);
    startedAt ??= at;
    const clock = dim(`${((at - startedAt) / 1000).toFixed(1).padStart(6)} s`);
    const say = (text: string) => write(`${clock}  ${text}`);
    switch (event.type) {
      case 'step.started':
        say(`${styleText('cyan', '▸')} ${STEP_WORDS[event.step]}${event.round === undefined ? '' : ` (round ${event.round})`}`);
        return;
      case 'step.ended':
        say(`${mark(event.ok)} ${STEP_WORDS[event.step]} ${dim(duration(event.ms))}`);
        return;
      case 'policy.resolved':
        say(
          `rules: ${event.ruleFile?.path ?? 'no rule file'}; ${event.commands.map((command) => `${command.kind} \`${command.run}\``).join(', ') || 'no commands declared'}`,
        );
        return;
      case 'sandbox.created':
        say(
          `sandbox ${event.sandbox.slice(0, 12)} on ${event.runtime} ${event.runtimeVersion} ${dim(`(${plainText(event.kernel).trim()})`)}`,
        );
        return;
      case 'setup.ran':
        say(`${mark(event.exitCode === 0)} ${plainText(event.command)} ${dim(duration(event.ms))}`);
        return;
      case 'command.ran': {
        const { result } = event;
        const ok = result.end === 'exited' && result.exitCode === 0;
        say(
          `${mark(ok)} ${plainText(result.command)} ${dim(`${result.end === 'exited' ? `exit ${result.exitCode}` : result.end}, ${duration(result.ms)}`)}`,
        );
        return;
      }
      case 'plan':
        write(`${clock}  plan:\n${indented(event.text)}`);
        return;
      case 'agent.said':
        say(`agent: ${plainText(event.text).split('\n')[0]?.slice(0, 160)}`);
        return;
      case 'agent.tool':
        say(`${mark(event.ok)} ${event.tool} ${dim(plainText(event.input).slice(0, 120))} ${dim(duration(event.ms))}`);
        return;
      case 'door.decision':
        if (event.verdict !== 'allowed')
          say(
            styleText('yellow', `door ${event.verdict} ${event.method} ${event.host}${plainText(event.path)}: ${event.reason}`),
          );
        return;
      case 'pull_request':
        say(`${event.draft ? 'draft pull request' : 'pull request'} ${event.url}`);
        return;
      case 'attempt.ended':
        say(`${event.state}: ${plainText(event.message)}`);
        return;
      default:
        return;
    }
  };
}
