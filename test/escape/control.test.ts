/** The control plane against hosts, Redis and whoever sends to it: one deployment for all of it. */
import { attempt } from './cases.ts';
import { CASES as ATTEMPTS } from './control-attempts.cases.ts';
import { CASES as CHANGES } from './control-changes.cases.ts';
import { CASES as DELIVERIES } from './control-deliveries.cases.ts';
import { CASES as REPORTS } from './control-reports.cases.ts';
import { openControl } from './control-rig.ts';
import { CASES as RULES } from './control-rules.cases.ts';
import { CASES as TOKENS } from './control-tokens.cases.ts';

attempt([...ATTEMPTS, ...CHANGES, ...DELIVERIES, ...RULES, ...REPORTS, ...TOKENS], openControl, { atOnce: 14 });
