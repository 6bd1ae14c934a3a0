/** What a change may hold, against everything it passes on its way to GitHub: one base for all of it. */
import { attempt } from './cases.ts';
import { CASES as ARCHIVES } from './change-archives.cases.ts';
import { CASES as BOMBS } from './change-bombs.cases.ts';
import { CASES as OBJECTS } from './change-objects.cases.ts';
import { CASES as PATHS } from './change-paths.cases.ts';
import { openGitTarget } from './git-rig.ts';

attempt([...ARCHIVES, ...OBJECTS, ...BOMBS, ...PATHS], openGitTarget, { atOnce: 2 });
