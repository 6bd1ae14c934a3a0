import { errorText } from '../errors.ts';

/** Things to be undone in the opposite order in which they were done; one that fails keeps none of the others from it. */
export function releases(trouble: (text: string) => void) {
  const stack: { name: string; release: () => Promise<void> | void }[] = [];
  return {
    add(name: string, release: () => Promise<void> | void): void {
      stack.push({ name, release });
    },
    async run(): Promise<void> {
      for (let last = stack.pop(); last !== undefined; last = stack.pop()) {
        try {
          await last.release();
        } catch (error) {
          trouble(`releasing ${last.name}: ${errorText(error)}`);
        }
      }
    },
  };
}
export type Releases = ReturnType<typeof releases>;
