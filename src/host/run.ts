import type { WorkOrder } from '../task/work-order.ts';
import type { Cleanup } from './cleanup.ts';
import type { RunHost } from './host.ts';
import type { AttemptClient } from './protocol-client.ts';
import type { Report } from './report.ts';

/** What the steps of one attempt share. */
export interface Run {
  readonly host: RunHost;
  readonly control: AttemptClient;
  readonly report: Report;
  readonly cleanup: Cleanup;
  readonly work: WorkOrder;
  /** This attempt's own directory; removed with it. */
  readonly directory: string;
  /** Ends the run: somebody asked, its time is over, the host goes down, or a part of it died. */
  readonly signal: AbortSignal;
  /** Ends the run from within. */
  readonly fail: (error: Error) => void;
}
