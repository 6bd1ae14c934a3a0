import { z } from 'zod';

/** What becomes of a change with a finding: it is published with a note, kept for a person's approval, or dropped. */
export const QuarantineOutcome = z.enum(['note', 'hold', 'refuse']);
export type QuarantineOutcome = z.infer<typeof QuarantineOutcome>;

/** What a repository may only make stricter: a later outcome is stricter than an earlier one. */
export const stricter = (a: QuarantineOutcome, b: QuarantineOutcome): QuarantineOutcome => {
  const order = QuarantineOutcome.options;
  return order[Math.max(order.indexOf(a), order.indexOf(b))] ?? 'refuse';
};

/**
 * The outcome of each kind of finding. What is unsound (objects, history, limits, a path that cannot be shown) is refused
 * whatever is written here and so has no key.
 */
export const QuarantinePolicy = z.strictObject({
  protected_path: QuarantineOutcome.default('hold').describe('workflows, owners, rule files, agents’ and editors’ configuration'),
  dot_directory: QuarantineOutcome.default('hold').describe('files in directories whose name begins with a dot'),
  manifest: QuarantineOutcome.default('note').describe('package manifests and lock files'),
  executable: QuarantineOutcome.default('note').describe('a file that becomes executable'),
  mode: QuarantineOutcome.default('refuse').describe('a mode that git does not give to files'),
  symlink: QuarantineOutcome.default('refuse').describe('a symbolic link that points out of the tree'),
  submodule: QuarantineOutcome.default('refuse').describe('a submodule that is added or moved, and .gitmodules'),
  binary: QuarantineOutcome.default('note').describe('a file that is not text'),
  large_file: QuarantineOutcome.default('hold').describe('a file above large_file_size'),
  secret: QuarantineOutcome.default('hold').describe('a secret found in added lines'),
  outside_text: QuarantineOutcome.default('hold').describe('a change that somebody without write permission asked for'),
});
export type QuarantinePolicy = z.infer<typeof QuarantinePolicy>;

/** What stands in directories whose name begins with a dot and is no finding for it: nothing runs or obeys it. */
export const ORDINARY_DOT_PATHS: readonly string[] = [
  '.github/*.md',
  '.github/FUNDING.yml',
  '.github/{ISSUE_TEMPLATE,PULL_REQUEST_TEMPLATE}/**',
  '.changeset/**',
];

/** What becomes of a change by one of its findings; a rule that is no kind of the policy's refuses. */
export const outcomeOf = (rule: string, policy: QuarantinePolicy): QuarantineOutcome => {
  const kind = QuarantinePolicy.keyof().safeParse(rule);
  return kind.success ? policy[kind.data] : 'refuse';
};
