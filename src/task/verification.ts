import { z } from 'zod';
import { ObjectId } from './task.ts';

export const CommandKind = z.enum(['install', 'build', 'test', 'lint']);
export type CommandKind = z.infer<typeof CommandKind>;

/** A command that the repository declares; run with `bash -c` in the work tree. */
export const DeclaredCommand = z.strictObject({
  kind: CommandKind,
  run: z.string().min(1).max(4096),
  meaning: z.string(),
  source: z.strictObject({ file: z.string(), line: z.int().positive() }),
});
export type DeclaredCommand = z.infer<typeof DeclaredCommand>;

/** How a command came to its end. Only `exited` has an exit code that means anything. */
export const CommandEnd = z.enum(['exited', 'timed_out', 'aborted', 'sandbox_died']);
export type CommandEnd = z.infer<typeof CommandEnd>;

/** baseline: the base. verify: in the agent's sandbox. clean_room: the exact tree, fresh, door shut. yardstick: the same with the base's tests and definitions put back. */
export const VerificationPhase = z.enum(['baseline', 'verify', 'clean_room', 'yardstick']);
export type VerificationPhase = z.infer<typeof VerificationPhase>;

export const CommandResult = z.strictObject({
  phase: VerificationPhase,
  kind: CommandKind,
  command: z.string(),
  end: CommandEnd,
  exitCode: z.int().nullable(),
  ms: z.number().nonnegative(),
  /** SHA-256 over the whole output, also over what was cut from the tail. */
  outputDigest: z.string(),
  outputTail: z.string(),
  truncated: z.boolean(),
});
export type CommandResult = z.infer<typeof CommandResult>;

/** What the runner says of one tree; never the model's own word. */
export const Verdict = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('passed') }),
  /** Commands that fail on the change and did not fail on the base. */
  z.strictObject({ kind: z.literal('failed'), commands: z.array(z.string()) }),
  z.strictObject({ kind: z.literal('nothing_to_verify') }),
  z.strictObject({ kind: z.literal('own_yardstick_only'), commands: z.array(z.string()) }),
  z.strictObject({ kind: z.literal('unjudged'), why: z.string() }),
]);
export type Verdict = z.infer<typeof Verdict>;

export const Verification = z.strictObject({
  /** The tree that was verified: the commit is made from exactly this. */
  tree: ObjectId,
  verdict: Verdict,
  results: z.array(CommandResult),
  /** Commands that already failed on the base and so are not held against the change. */
  redOnBase: z.array(z.string()),
  /** Paths of the base's own tests and command definitions that the change edits, deletes or replaces. */
  yardstickEdits: z.array(z.string()),
});
export type Verification = z.infer<typeof Verification>;
