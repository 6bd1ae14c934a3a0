import { attempt } from './cases.ts';
import { CASES, doorTarget } from './door.cases.ts';

attempt(CASES, doorTarget);
