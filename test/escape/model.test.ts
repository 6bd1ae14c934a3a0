/** Row 57: the model's own vendor as a way out. */
import { attempt } from './cases.ts';
import { CASES } from './model.cases.ts';
import { openModels } from './model-rig.ts';

attempt(CASES, openModels);
