import { attempt } from './cases.ts';
import { CASES, neighbours } from './sandbox.cases.ts';

attempt(CASES, neighbours);
