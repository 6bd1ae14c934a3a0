import { attempt } from './cases.ts';
import { CASES } from './proved.cases.ts';
import { guarded, twins } from './rig.ts';

attempt(CASES, async (t) => {
  const ground = await guarded(t);
  return { ground, twins: await twins(t, ground.outside) };
});
