/** Row 37: what an agent writes into `.git`, against everything that runs git on the trusted side. */
import { attempt } from './cases.ts';
import { CASES } from './git-directory.cases.ts';
import { openGitTarget } from './git-rig.ts';

attempt(CASES, openGitTarget);
