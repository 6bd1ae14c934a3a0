import type { Redactor } from '../audit/redact.ts';
import { AgentSummary, type FinishRequest } from '../task/protocol.ts';

type Outcome = FinishRequest['outcome'];

/**
 * What a host hands over, without secrets in the texts that stand in commits, pull requests and comments later: the
 * agent's own words and what commands printed.
 */
export function withoutSecrets(redactor: Redactor, request: FinishRequest): FinishRequest {
  const plan = request.plan === null ? null : redactor.text(request.plan);
  return { ...request, plan, outcome: cleaned(redactor, request.outcome) };
}

function cleaned(redactor: Redactor, outcome: Outcome): Outcome {
  if (outcome.outcome === 'ended') return { ...outcome, message: redactor.text(outcome.message) };
  const summary = summaryOf(redactor, outcome.summary);
  if (outcome.outcome === 'no_change') return { ...outcome, summary };
  const results = outcome.verification.results.map((result) => ({ ...result, outputTail: redactor.text(result.outputTail) }));
  return { ...outcome, summary, verification: { ...outcome.verification, results } };
}

/** A mark may be longer than the secret in whose place it stands. */
function summaryOf(redactor: Redactor, { title, body }: AgentSummary): AgentSummary {
  const { title: longestTitle, body: longestBody } = AgentSummary.shape;
  return {
    title: redactor.text(title).slice(0, longestTitle.maxLength ?? undefined),
    body: redactor.text(body).slice(0, longestBody.maxLength ?? undefined),
  };
}
