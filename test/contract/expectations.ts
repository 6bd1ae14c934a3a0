/** Everything the product counts on about GitHub, in one suite for the forge and for a real GitHub. */
import { after, before, describe } from 'node:test';
import { change } from './change.ts';
import { conversation } from './conversation.ts';
import { credentials } from './credentials.ts';
import { notification } from './notification.ts';
import type { Target } from './target.ts';

export function expectations(name: string, open: () => Promise<Target>): void {
  describe(`GitHub as the product uses it, on ${name}`, () => {
    let target: Target | undefined;
    const opened = () => {
      if (!target) throw new Error('the target is not open');
      return target;
    };
    before(async () => {
      target = await open();
    });
    after(() => target?.close());
    credentials(opened);
    conversation(opened);
    change(opened);
    notification(opened);
  });
}
