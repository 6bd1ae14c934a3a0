import type { DoorOptions } from '../door/door.ts';
import type { Run } from './run.ts';

/**
 * What the control plane has the door add under the work order's rules, by rule. It goes from there into the door's
 * process and is kept nowhere.
 * @throws CoatcheckError the control plane's own refusal, for example when a rule's variable is not set.
 */
export async function ruleCredentials({ control, work, signal }: Run): Promise<DoorOptions['credentials']> {
  // An expired rule lets nothing pass, and its credential is not to be had.
  const lasts = (expires: string | undefined) => expires === undefined || Date.now() < Date.parse(expires);
  const rules = work.egress.filter((rule) => rule.how === 'inspect' && rule.credential !== undefined && lasts(rule.expires));
  const ids = [...new Set(rules.map(({ id }) => id))];
  const found = await Promise.all(
    ids.map(async (rule) => {
      const answer = await control.grant({ grant: 'registry', rule }, signal);
      if (answer.grant !== 'registry') throw new Error('The control plane answered with another grant.');
      return [rule, { header: answer.header.toLowerCase(), value: answer.value }] as const;
    }),
  );
  return Object.fromEntries(found);
}
