import { outcomeOf, type QuarantineOutcome, type QuarantinePolicy, stricter } from '../policy/quarantine.ts';
import { OverLimits, type Scratch } from './caged-git.ts';
import {
  type ChangedFile,
  changedFiles,
  diffToScan,
  diffToShow,
  type FileFacts,
  type Patch,
  type Trees,
} from './changed-files.ts';
import { type Finding, type OpenedChange, overLimits } from './open-change.ts';
import { SCANNER, type ScanCaps, scanSecrets } from './scan-secrets.ts';
import type { SecretHit } from './secret-rules.ts';
import { type ChangeLimits, findingsIn, isBulk, type TreePolicy, tooLargeInAll, tooManyFiles } from './tree-policy.ts';

const MiB = 1024 * 1024;

/** How much of a diff is scanned for secrets; a larger one is held, as not scanned to its end. */
const SCAN_BYTES = 16 * MiB;
const SHOWN_BYTES = 512 * 1024;

/** A finding, and what becomes of the change by it. */
export interface JudgedFinding extends Finding {
  readonly outcome: QuarantineOutcome;
}

export interface QuarantineReport {
  /** clean: notes at most. held: a person has to approve. refused: not to be published. */
  readonly verdict: 'clean' | 'held' | 'refused';
  /** The commit that the sandbox made; never published itself. */
  readonly head: string | null;
  readonly tree: string | null;
  readonly files: readonly ChangedFile[];
  readonly findings: readonly JudgedFinding[];
  /** The scanner that looked for secrets, and the version of its rules; null when nothing was scanned. */
  readonly scanner: string | null;
  /** Unified diff, capped, found secrets replaced; as hostile as the change. Empty when the objects are unsound. */
  readonly diff: string;
}

export interface JudgeOptions {
  /** The tree that was verified; anything else in the bundle is refused. */
  readonly expectedTree: string;
  readonly limits: ChangeLimits;
  /** Globs; see `policy/protected.ts`. */
  readonly protectedPaths: readonly string[];
  readonly policy: QuarantinePolicy & Pick<TreePolicy, 'largeFileBytes'>;
  /** What the scan for secrets may cost, when not as much as usual. */
  readonly scanCaps?: ScanCaps;
}

type Sound = Extract<OpenedChange, { kind: 'sound' }>;

/** Looks at a change whose objects are sound, and says what becomes of it. */
export async function judgeChange(
  scratch: Scratch,
  base: string,
  opened: Sound,
  options: JudgeOptions,
): Promise<QuarantineReport> {
  const { head, tree } = opened;
  const trees = { base, tree };
  try {
    const facts = await changedFiles(scratch, trees, options.limits.files);
    const inAll = findingsInAll(tree, facts, options);
    const inFiles = findingsIn(facts ?? [], { ...options, ...options.policy });
    const except = inAll.length === 0 ? (facts ?? []).filter(isBulk).map(({ path }) => path) : null;
    const scanned = await scan(scratch, trees, except, options.scanCaps);
    const judged = [...inAll, ...inFiles, ...scanned.findings].map((one) => judge(one, options.policy));
    const files = (facts ?? []).map(shown);
    return { verdict: verdictOf(judged), head, tree, files, findings: judged, scanner: SCANNER, diff: scanned.diff };
  } catch (thrown) {
    if (thrown instanceof OverLimits) return refusedWhole(head, [overLimits(thrown.message)]);
    throw thrown;
  }
}

/** A change of which nothing more can be said than what is wrong with it. */
export function refusedWhole(head: string | null, findings: readonly Finding[]): QuarantineReport {
  const refused = findings.map((finding) => ({ ...finding, outcome: 'refuse' as const }));
  return { verdict: 'refused', head, tree: null, files: [], findings: refused, scanner: null, diff: '' };
}

function findingsInAll(tree: string, facts: readonly FileFacts[] | null, options: JudgeOptions): Finding[] {
  const { expectedTree, limits } = options;
  const detail = `The change holds tree ${tree}, verified was ${expectedTree}.`;
  const tooLarge = facts === null ? tooManyFiles(limits.files) : tooLargeInAll(facts, limits.bytes);
  return [...(tree === expectedTree ? [] : [{ rule: 'wrong_tree', path: '', detail }]), ...(tooLarge === null ? [] : [tooLarge])];
}

/** A scan that was not carried out to its end is never less than a hold: nobody knows what it would have found. */
const judge = (finding: Finding, policy: QuarantinePolicy): JudgedFinding => ({
  ...finding,
  outcome: finding.rule === NOT_SCANNED ? stricter('hold', policy.secret) : outcomeOf(finding.rule, policy),
});

function verdictOf(findings: readonly JudgedFinding[]): QuarantineReport['verdict'] {
  const strictest = findings.reduce<QuarantineOutcome>((most, { outcome }) => stricter(most, outcome), 'note');
  return ({ note: 'clean', hold: 'held', refuse: 'refused' } as const)[strictest];
}

const NOT_SCANNED = 'not_scanned';
const notScanned = (why: string): Finding => ({
  rule: NOT_SCANNED,
  path: '',
  detail: `Could not be scanned for secrets to its end: ${why}.`,
});

interface Scan {
  readonly findings: readonly Finding[];
  readonly diff: string;
}

/** Scans the whole change but the files in `except`; with null, for a change over its limits, only what people are shown. */
async function scan(scratch: Scratch, trees: Trees, except: readonly string[] | null, caps?: ScanCaps): Promise<Scan> {
  const shown = await diffToShow(scratch, trees, SHOWN_BYTES);
  const whole = except === null ? shown : await patchToScan(scratch, trees, except);
  if (whole === null) return scanShown(shown, scratch, 'the diff took too much memory or time');
  const result = await scanSecrets(whole.bytes, textOf(shown), scratch.signal, caps);
  if (result.kind === 'failed') return scanShown(shown, scratch, `the scanner ended early (${result.why})`);
  const toItsEnd = except === null || (whole.whole && result.whole);
  const cut = toItsEnd ? [] : [notScanned(`the diff is longer than ${SCAN_BYTES} bytes, or leaves a file out`)];
  return { findings: [...result.hits.map(secretFinding), ...cut], diff: result.shown };
}

/** What people are shown is scanned even when the whole was not: found secrets do not belong on a page. */
async function scanShown(shown: Patch, { signal }: Scratch, why: string): Promise<Scan> {
  const result = await scanSecrets(shown.bytes, textOf(shown), signal);
  if (result.kind === 'failed')
    return { findings: [notScanned(why)], diff: 'The diff is not shown: the scan for secrets failed.\n' };
  return { findings: [...result.hits.map(secretFinding), notScanned(why)], diff: result.shown };
}

async function patchToScan(scratch: Scratch, trees: Trees, except: readonly string[]): Promise<Patch | null> {
  try {
    return await diffToScan(scratch, trees, SCAN_BYTES, except);
  } catch (thrown) {
    if (thrown instanceof OverLimits) return null;
    throw thrown;
  }
}

const textOf = ({ bytes, whole }: Patch): string =>
  bytes.toString('utf8') + (whole ? '' : `[cut: the diff is longer than ${SHOWN_BYTES} bytes]\n`);

const secretFinding = ({ path, line, rule }: SecretHit): Finding => ({ rule: 'secret', path, detail: `Line ${line}: ${rule}.` });

const shown = ({ path, change, mode, oldMode, size, binary }: FileFacts): ChangedFile => ({
  path,
  change,
  mode,
  oldMode,
  size,
  binary,
});
