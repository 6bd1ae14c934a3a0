/** Rows 35, 36 and 55: agents that look for what is not theirs, and that bend their yardstick. */

import { CASES } from './agent.cases.ts';
import { openAgents } from './agent-rig.ts';
import { attempt } from './cases.ts';

attempt(CASES, openAgents);
