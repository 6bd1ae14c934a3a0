import { CoatcheckError, errorText } from '../errors.ts';
import { type FinishRequest, HostEndReason } from '../task/protocol.ts';
import { RunStopped } from './report.ts';

type Ended = Extract<FinishRequest['outcome'], { outcome: 'ended' }>;

/** Codes of errors that are not themselves reasons. */
const REASONS: Readonly<Record<string, HostEndReason>> = {
  not_gvisor: 'sandbox_unavailable',
  sandbox_limits: 'policy',
  sandbox_services: 'policy',
  grant_refused: 'policy',
  cage_unavailable: 'sandbox_unavailable',
  trust_failed: 'sandbox_unavailable',
  engine_unreachable: 'sandbox_died',
  engine_nonsense: 'sandbox_died',
  stream_cut: 'sandbox_died',
  door_failed: 'door_died',
  lock_timeout: 'repository_unreadable',
  git_missing: 'repository_unreadable',
  git_failed: 'repository_unreadable',
  control_unreachable: 'host_lost',
  repository_too_large: 'repository_unreadable',
  lay_in_failed: 'repository_unreadable',
  take_out_failed: 'change_unreadable',
};

/** Why a run ended early, from what was thrown through it. */
export function endOf(error: unknown, ends: { wall: AbortSignal; report: AbortSignal; host: AbortSignal }): Ended {
  const ended = (reason: HostEndReason, message = ''): Ended => ({ outcome: 'ended', reason, message: message.slice(0, 4000) });
  const stop: unknown = ends.report.reason;
  if (stop instanceof RunStopped && stop.reason !== 'fenced') return ended(stop.reason);
  if (ends.wall.aborted) return ended('wall_limit');
  if (ends.host.aborted) return ended('host_lost', 'The host was shut down.');
  if (!(error instanceof CoatcheckError)) return ended('internal', errorText(error));
  const reason = HostEndReason.safeParse(error.code);
  return ended(reason.data ?? REASONS[error.code] ?? 'internal', error.toString());
}
