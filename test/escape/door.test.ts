/** Rows of egress on doors of their own: one file, so that they share what is outside. */
import { attempt } from './cases.ts';
import { CASES as DOORS } from './door.cases.ts';
import { CASES as CREDENTIALS } from './door-credentials.cases.ts';
import { CASES as GITHUB } from './door-github.cases.ts';
import { doorTarget } from './door-rig.ts';
import { CASES as UNOPENED } from './door-unopened.cases.ts';

attempt([...DOORS, ...UNOPENED, ...GITHUB, ...CREDENTIALS], doorTarget);
