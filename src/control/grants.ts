import { CoatcheckError } from '../errors.ts';
import type { EgressRule } from '../policy/egress.ts';
import type { GrantAnswer } from '../task/protocol.ts';
import type { Task } from '../task/task.ts';
import type { WorkOrder } from '../task/work-order.ts';
import type { Credentials } from './credentials.ts';
import type { AttemptRef } from './record.ts';

export interface GrantsOptions {
  readonly credentials: Credentials;
  /** Where git fetches a repository from, without credentials. */
  readonly repositoryUrl: (repository: { owner: string; name: string }) => string;
}

const refused = (what: string, next: string) => new CoatcheckError('grant_refused', what, next);

/** The rule of a work order, of the kind that is asked for and not expired. @throws CoatcheckError `grant_refused`. */
function ruleOf<H extends EgressRule['how']>(work: WorkOrder, id: string, how: H): Extract<EgressRule, { how: H }> {
  const rule = work.egress.find((one): one is Extract<EgressRule, { how: H }> => one.id === id && one.how === how);
  if (rule === undefined) throw refused(`The task has no grant "${id}" of this kind.`, 'Ask for what the work order names.');
  if (rule.expires === undefined || Date.now() < Date.parse(rule.expires)) return rule;
  throw refused(`The grant "${id}" expired on ${rule.expires}.`, 'Ask the operator.');
}

/** What a host gets of the rules of its work order: the credential of one, or read access to the repository of one. */
export function openGrants({ credentials, repositoryUrl }: GrantsOptions) {
  return {
    async registry(ref: AttemptRef, work: WorkOrder, id: string): Promise<GrantAnswer> {
      const rule = ruleOf(work, id, 'inspect');
      if (rule.credential === undefined)
        throw refused(`The grant "${id}" has no credential.`, 'Ask for what the work order names.');
      return { grant: 'registry', ...(await credentials.registry(ref, rule)) };
    },

    async repository(ref: AttemptRef, task: Task, work: WorkOrder, id: string): Promise<GrantAnswer> {
      const rule = ruleOf(work, id, 'repository');
      const [owner = '', name = ''] = rule.repository.split('/');
      const opened = await credentials.openRepository(ref, task, { owner, name });
      if (opened === null) {
        throw refused(
          `The grant "${id}" opens ${rule.repository}, which the App's installation does not cover.`,
          'Add the repository to the installation, or take the grant out of egress.',
        );
      }
      const { repository, token } = opened;
      const base = await opened.base();
      return {
        grant: 'repository_read',
        url: repositoryUrl(repository),
        token: token.token,
        expiresAt: token.expiresAt,
        repository: { ...repository, ...base },
      };
    },
  };
}
export type Grants = ReturnType<typeof openGrants>;
