import { z } from 'zod';

/**
 * What a runtime can give, by name; a policy asks for some, and a host refuses what it cannot give. Which runtime gives
 * what: sandbox/runtimes.ts.
 */
export const CAPABILITIES = ['own_kernel', 'no_network', 'enforced_memory', 'enforced_disk', 'kernel_witness'] as const;
export const Capability = z.enum(CAPABILITIES);
export type Capability = z.infer<typeof Capability>;
