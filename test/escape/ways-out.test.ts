/** Rows 40, 42 and 58: git's and registries' own ways out. */
import { attempt } from './cases.ts';
import { CASES, GO_SUM } from './ways-out.cases.ts';
import { openWays } from './ways-out-rig.ts';

attempt(CASES, (t) => openWays(t, GO_SUM));
