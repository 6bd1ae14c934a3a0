/** Rows 33, 38, 39, 41, 43 and 61: what a change may hold, against everything it passes on its way to GitHub. */
import { attempt } from './cases.ts';
import { CASES } from './change.cases.ts';
import { openGitTarget } from './git-rig.ts';

attempt(CASES, openGitTarget);
