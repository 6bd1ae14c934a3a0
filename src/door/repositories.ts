import type { RepositoryRule } from '../policy/egress.ts';
import { inForce } from '../policy/egress.ts';
import type { DoorState } from './door.ts';
import { sameName } from './github.ts';
import type { DoorConfiguration } from './protocol.ts';
import { Refusal, repositoryRefusalText } from './refusal.ts';

/** A gateway that answers for one repository, and in which states it may be asked. */
export interface Readable {
  readonly socket: string;
  /** The gateway's own path for what was asked. */
  readonly path: string;
  readonly rule: string;
  readonly until: number | null;
  stillAllowed(state: DoorState): boolean;
}

type Configuration = Pick<DoorConfiguration, 'rules' | 'gitSocket' | 'repositories' | 'github'>;

/** Reads of repositories through git: the task's own, and those that rules open. */
export class Repositories {
  readonly #configuration: Configuration;
  readonly #rules: readonly RepositoryRule[];

  constructor(configuration: Configuration) {
    this.#configuration = configuration;
    this.#rules = configuration.rules.filter((rule) => rule.how === 'repository');
  }

  /** Finds the gateway for a request below GitHub's web name or the git route. @throws Refusal 403 */
  open(state: DoorState, method: string, path: string): Readable {
    if (!gitIsOpen(state) && state.phase !== 'verify') throw new Refusal(403, `the repository is not served in ${state.phase}`);
    const asked = READS.map((read) => (read.method === method ? read.path.exec(path) : null)).find((match) => match !== null);
    const name = `${asked?.[1]}/${asked?.[2]}`;
    if (asked === undefined || asked === null || !/^[\w.-]+\/[\w.-]+$/.test(name))
      throw new Refusal(403, 'repositories can be fetched from and nothing else: a push is made by the control plane');
    const rest = asked[3] ?? '';
    const further = this.#configuration.repositories.filter((each) => sameName(each.name, name));
    if (further.length === 0 || this.#isOwn(name)) return this.#own(state, name, rest);
    return this.#further(state, name, rest, further);
  }

  #isOwn(name: string): boolean {
    const own = this.#configuration.github?.repository;
    return own !== undefined && sameName(`${own.owner}/${own.name}`, name);
  }

  #own(state: DoorState, name: string, rest: string): Readable {
    const { gitSocket: socket, github } = this.#configuration;
    if (github !== null && !this.#isOwn(name)) this.#refuse(state, name, 'it is not the task’s own repository');
    if (!gitIsOpen(state)) throw new Refusal(403, `the repository is not served in ${state.phase}`);
    if (socket === null) throw new Refusal(403, 'this task has no repository to serve');
    const written = github === null ? name : `${github.repository.owner}/${github.repository.name}`;
    return { socket, path: `/${written}.git/${rest}`, rule: 'git', until: null, stillAllowed: gitIsOpen };
  }

  #further(state: DoorState, name: string, rest: string, found: Configuration['repositories']): Readable {
    const now = Date.now();
    for (const { name: written, rule: id, socket } of found) {
      const rule = this.#rules.find((each) => each.id === id && sameName(each.repository, written));
      if (rule === undefined || !inForce(rule, state.phase, now)) continue;
      return {
        socket,
        path: `/${written}.git/${rest}`,
        rule: id,
        until: rule.expires === undefined ? null : Date.parse(rule.expires),
        stillAllowed: (next) => inForce(rule, next.phase, Date.now()),
      };
    }
    const rule = this.#rules.find((each) => found.some((one) => one.rule === each.id)) ?? null;
    return this.#refuse(state, name, whyNot(rule, state), rule?.id ?? null);
  }

  #refuse(state: DoorState, name: string, reason: string, rule: string | null = null): never {
    const text = repositoryRefusalText(name, state.phase, reason);
    throw new Refusal(403, `${name} may not be read: ${reason}`, { rule, text });
  }
}

function whyNot(rule: RepositoryRule | null, state: DoorState): string {
  if (rule === null) return 'no rule opens it';
  if (!rule.phases.some((phase) => phase === state.phase))
    return `rule ${rule.id} is open in ${rule.phases.join(', ')} only, and this is ${state.phase}`;
  return `rule ${rule.id} expired at ${rule.expires}`;
}

/** git-scm.com/docs/http-protocol: the two requests of a fetch. The name stands alone before them, `.git` or not. */
const READS: readonly { readonly method: string; readonly path: RegExp }[] = [
  { method: 'GET', path: /^\/([^/?]+)\/([^/?]+?)(?:\.git)?\/(info\/refs\?service=git-upload-pack)$/ },
  { method: 'POST', path: /^\/([^/?]+)\/([^/?]+?)(?:\.git)?\/(git-upload-pack)$/ },
];

/** The phases in which the task's own repository is served. */
export const gitIsOpen = (state: DoorState): boolean => state.phase === 'setup' || state.phase === 'agent';
