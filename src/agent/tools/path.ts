import { posix } from 'node:path';
import { z } from 'zod';
import { WORK_TREE } from '../../sandbox/sandbox.ts';

/**
 * A path in the work tree, made relative with a leading `./`, so that no program takes it for an option.
 * Leaving the tree would harm nothing outside of the sandbox; it is refused because it is a mistake of the model's.
 */
export const TreePath = z
  .string()
  .min(1)
  .max(4096)
  .refine((path) => !path.includes('\0'), 'must not contain NUL')
  .transform((path, context) => {
    const relative = posix.relative(WORK_TREE, posix.resolve(WORK_TREE, path));
    if (relative !== '..' && !relative.startsWith('../')) return `./${relative}`;
    context.addIssue({
      code: 'custom',
      message: 'must be inside of the work tree; give it relative to the root of the repository',
    });
    return z.NEVER;
  });

/** A name as one line: quoted when it holds anything that would break the line or hide in it. */
export const showName = (name: string): string => (/[\p{C}\p{Zl}\p{Zp}"\\]/u.test(name) ? JSON.stringify(name) : name);
