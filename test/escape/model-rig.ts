/** The model gateway in front of a scripted vendor, one of each dialect. */
import { startBoth } from '../model/gateway.fixture.ts';
import type { Teardown } from './cases.ts';

type Both = Awaited<ReturnType<typeof startBoth>>;
export type ModelTarget = Readonly<Record<'anthropic-messages' | 'openai-chat', Both>>;

export async function openModels(t: Teardown): Promise<ModelTarget> {
  const context = t as Parameters<typeof startBoth>[0];
  return {
    'anthropic-messages': await startBoth(context, 'anthropic-messages', [{ text: 'hi' }]),
    'openai-chat': await startBoth(context, 'openai-chat', [{ text: 'hi' }]),
  };
}
