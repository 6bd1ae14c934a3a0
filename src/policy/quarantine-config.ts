import { z } from 'zod';
import { QuarantineOutcome, QuarantinePolicy, stricter } from './quarantine.ts';
import { ByteSize } from './units.ts';

const MiB = 1024 * 1024;
const LargeFileSize = ByteSize.describe('the size above which a file counts as large, as "5 MiB"');
const FINDINGS = QuarantinePolicy.keyof().options;

/** What becomes of a change with a finding, as the operator writes it. */
export const QuarantineConfig = z.strictObject({
  ...QuarantinePolicy.shape,
  large_file_size: LargeFileSize.prefault('5 MiB'),
});
type QuarantineConfig = z.infer<typeof QuarantineConfig>;

/** The same as an organisation or a repository writes it: what is left out stays, and what is said can only be stricter. */
export const StricterQuarantine = z.strictObject({
  protected_path: QuarantineOutcome.optional(),
  dot_directory: QuarantineOutcome.optional(),
  manifest: QuarantineOutcome.optional(),
  executable: QuarantineOutcome.optional(),
  mode: QuarantineOutcome.optional(),
  symlink: QuarantineOutcome.optional(),
  submodule: QuarantineOutcome.optional(),
  binary: QuarantineOutcome.optional(),
  large_file: QuarantineOutcome.optional(),
  secret: QuarantineOutcome.optional(),
  outside_text: QuarantineOutcome.optional(),
  large_file_size: LargeFileSize.optional(),
} satisfies { readonly [K in keyof QuarantineConfig]: z.ZodType });
export type StricterQuarantine = z.infer<typeof StricterQuarantine>;

/** The same as a task has it. */
export const QuarantineOrder = z.strictObject({
  ...QuarantinePolicy.shape,
  largeFileBytes: z
    .int()
    .positive()
    .default(5 * MiB),
});
export type QuarantineOrder = z.infer<typeof QuarantineOrder>;

/** The operator's part, as a task has it where nobody asks for more caution. */
export const quarantineOf = ({ large_file_size, ...outcomes }: QuarantineConfig): QuarantineOrder => ({
  ...outcomes,
  largeFileBytes: large_file_size,
});

/** Makes a quarantine stricter by what a level asks for; `weaker` is told of what is not stricter, and that is left. */
export function narrowQuarantine(
  present: QuarantineOrder,
  asked: StricterQuarantine,
  weaker: (key: string, asked: string | number, present: string | number) => void,
): QuarantineOrder {
  const narrowed = { ...present };
  for (const finding of FINDINGS) {
    const outcome = asked[finding];
    if (outcome === undefined) continue;
    if (stricter(present[finding], outcome) === outcome) narrowed[finding] = outcome;
    else weaker(finding, outcome, present[finding]);
  }
  const size = asked.large_file_size;
  if (size !== undefined && size <= present.largeFileBytes) narrowed.largeFileBytes = size;
  else if (size !== undefined) weaker('large_file_size', size, present.largeFileBytes);
  return narrowed;
}
