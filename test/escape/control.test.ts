/** Rows 34, 41, 44, 45, 46, 50, 51, 56, 59 and 60: the control plane against hosts, Redis and whoever sends to it. */
import { attempt } from './cases.ts';
import { CASES } from './control.cases.ts';
import { openControl } from './control-rig.ts';

attempt(CASES, openControl, { atOnce: 8 });
