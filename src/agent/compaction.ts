import type { ModelMessage } from 'ai';

/** Messages at the end that keep their tool results. */
const KEPT = 4;
const DROPPED = '[This result was dropped to make room. Run the tool again where it matters.]';

/** The same conversation with all but the latest tool results dropped; calls and results still pair up. */
export function dropOldResults(messages: readonly ModelMessage[]): ModelMessage[] {
  return messages.map((message, index) => {
    if (message.role !== 'tool' || index >= messages.length - KEPT) return message;
    return {
      ...message,
      content: message.content.map((part) =>
        part.type === 'tool-result' ? { ...part, output: { type: 'text', value: DROPPED } } : part,
      ),
    };
  });
}
