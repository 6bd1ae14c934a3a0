import type { KernelSight } from '../sandbox.ts';
import type { Caller } from './log-line.ts';

/** What was seen of a process, before it is known whose it is. */
export type Seen =
  | { readonly seen: 'process'; readonly pid: number; readonly executable: string; readonly argv: readonly string[] }
  | { readonly seen: 'connect'; readonly pid: number; readonly to: string; readonly result: string };

/** All processes that descend from one that the kernel started from outside. */
interface Tree {
  /** Undefined until it is known: the mark, or the parent of its first process, may stand further down in the log. */
  command: number | null | undefined;
  readonly since: number;
  /** Whether it began in an inner PID namespace: nothing that comes from outside does. */
  readonly isInner: boolean;
  waiting: Seen[];
  /** Another tree, of which this one turned out to be a branch. */
  into: Tree | null;
}

interface Process {
  readonly parent: number | null;
  readonly tree: Tree;
}

/** How long a tree may be without an owner, in milliseconds. A parent's line follows its child's within some 10 ms. */
const UNKNOWN_MS = 1000;
/** Sights that wait for their tree's owner; beyond, trees are settled as they are. */
const WAITING = 2000;

/**
 * Who descends from whom, and from which command. Two lines of different processes may stand in the log in either order,
 * so a process without a known parent waits a little for one before it counts as nobody's.
 *
 * The log does not tell of ends, and the kernel gives ids out again after 65,536 of them: then the newer process counts.
 */
export class ProcessTrees {
  readonly #processes = new Map<number, Process>();
  /** Processes in an inner PID namespace by their id there: what their parent was told. */
  readonly #inner = new Map<number, Process>();
  readonly #unknown = new Set<Tree>();
  readonly #tell: (sight: KernelSight) => void;
  /** The last tree in which there was a process of an inner PID namespace. */
  #namespaced: Tree | null = null;
  #waiting = 0;

  /** @param tell is given every sight once it is known whose it is. */
  constructor(tell: (sight: KernelSight) => void) {
    this.#tell = tell;
    // The container's first process. It is ours, as is what it starts.
    this.#processes.set(1, { parent: null, tree: { command: 0, since: 0, isInner: false, waiting: [], into: null } });
  }

  /** A process started another one, which may be known already by what it did since. */
  forked(by: Caller, child: number, now: number): void {
    const tree = this.#treeOf(by, now);
    if (by.inner !== null) {
      this.#inner.set(child, { parent: by.pid, tree });
      return;
    }
    const known = this.#processes.get(child);
    this.#processes.set(child, { parent: by.pid, tree });
    if (known === undefined || known.parent !== null) return;
    const branch = end(known.tree);
    if (branch === tree) return;
    if (branch.command === undefined) this.#merge(branch, tree);
    else if (tree.command === undefined) this.#settle(tree, branch.command);
  }

  saw(by: Caller, seen: Seen, now: number): void {
    const tree = this.#treeOf(by, now);
    if (tree.command !== undefined) {
      this.#tell(this.#sight(seen, tree.command));
      return;
    }
    tree.waiting.push(seen);
    this.#waiting += 1;
    if (this.#waiting > WAITING) this.settle(Number.POSITIVE_INFINITY);
  }

  /** Whether it is not known yet from which command a process descends. */
  isUnknown(by: Caller, now: number): boolean {
    return this.#treeOf(by, now).command === undefined;
  }

  /** Names the command of the tree that a process belongs to. */
  belongs(by: Caller, command: number, now: number): void {
    this.#settle(this.#treeOf(by, now), command);
  }

  /**
   * Takes trees that nobody has claimed in good time as nobody's. `now` infinite: all of them. Of namespaces within
   * namespaces the log tells too little to know each parent; but they are of the inside, so the last such tree has them.
   */
  settle(now: number): void {
    for (const tree of this.#unknown) {
      if (now - tree.since < UNKNOWN_MS) continue;
      this.#settle(tree, tree.isInner && this.#namespaced !== null ? (end(this.#namespaced).command ?? null) : null);
    }
  }

  #treeOf({ pid, inner }: Caller, now: number): Tree {
    const known = this.#processes.get(pid) ?? (inner === null ? undefined : this.#inner.get(inner));
    if (known !== undefined) {
      this.#processes.set(pid, known);
      const tree = end(known.tree);
      if (inner !== null && tree.command !== undefined) this.#namespaced = tree;
      return tree;
    }
    const tree: Tree = { command: undefined, since: now, isInner: inner !== null, waiting: [], into: null };
    this.#unknown.add(tree);
    this.#processes.set(pid, { parent: null, tree });
    return tree;
  }

  #settle(tree: Tree, command: number | null): void {
    tree.command = command;
    this.#unknown.delete(tree);
    for (const seen of tree.waiting) this.#tell(this.#sight(seen, command));
    this.#waiting -= tree.waiting.length;
    tree.waiting = [];
  }

  #merge(branch: Tree, into: Tree): void {
    branch.into = into;
    this.#unknown.delete(branch);
    if (into.command === undefined) into.waiting.push(...branch.waiting);
    else {
      for (const seen of branch.waiting) this.#tell(this.#sight(seen, into.command));
      this.#waiting -= branch.waiting.length;
    }
    branch.waiting = [];
  }

  #sight(seen: Seen, command: number | null): KernelSight {
    if (seen.seen === 'connect') return { ...seen, command };
    return { ...seen, command, parent: this.#processes.get(seen.pid)?.parent ?? null };
  }
}

function end(tree: Tree): Tree {
  let last = tree;
  while (last.into !== null) last = last.into;
  return last;
}
