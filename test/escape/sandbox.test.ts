/** Rows of the sandbox that need more than one of them, a service, or the kernel's account. */
import { attempt } from './cases.ts';
import { CASES as NEIGHBOURS } from './sandbox.cases.ts';
import { neighbours } from './sandbox-rig.ts';
import { CASES as SERVICES } from './sandbox-services.cases.ts';
import { CASES as STRANGERS } from './sandbox-strangers.cases.ts';

attempt([...NEIGHBOURS, ...SERVICES, ...STRANGERS], neighbours);
