import { canonicalHost } from '../policy/host-name.ts';
import { pathMatches } from '../policy/match.ts';
import type { DoorGitHub } from './door.ts';
import type { Addressed } from './routes.ts';

/** An answer that the door gives by itself. */
export interface OwnAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

interface Place {
  readonly tls: boolean;
  readonly host: string;
  readonly port: number;
  /** What every path begins with, without a slash at its end. */
  readonly prefix: string;
}

/** GitHub's two names as this deployment has them, and what is answered under them in its place. */
export class GitHubNames {
  readonly #github: DoorGitHub;
  readonly #api: Place;
  readonly #web: Place;

  constructor(github: DoorGitHub) {
    this.#github = github;
    this.#api = placeOf(github.apiUrl);
    this.#web = placeOf(github.webUrl);
  }

  /** By which of its names a request or a tunnel goes to GitHub; null when it goes elsewhere. */
  nameOf(addressed: Omit<Addressed, 'method'>): 'api' | 'web' | null {
    const [api, web] = [covers(this.#api, addressed), covers(this.#web, addressed)];
    // One server with both: GitHub Enterprise Server has its API below a path of its own.
    if (api && web) return longer(this.#api, this.#web, addressed.path);
    return api ? 'api' : web ? 'web' : null;
  }

  /** The path below the name's own. */
  below(name: 'api' | 'web', path: string): string {
    const { prefix } = name === 'api' ? this.#api : this.#web;
    return prefix !== '' && pathMatches(prefix, path) ? path.slice(prefix.length) : path;
  }

  /**
   * The answer to a read of the task's own repository or issue, from the text at the trigger, in the shape of GitHub's
   * REST API as far as it is known (docs.github.com/rest: "Get an issue", "List issue comments", "Get a repository").
   */
  snapshot(method: string, path: string): OwnAnswer | null {
    if (method !== 'GET' && method !== 'HEAD') return null;
    if (this.#api.prefix !== '' && !pathMatches(this.#api.prefix, path)) return null;
    const { owner, name } = this.#github.repository;
    const match = /^\/repos\/([\w.-]+)\/([\w.-]+)(?:\/issues\/(\d{1,15})(\/comments)?)?\/?(?:\?.*)?$/.exec(
      this.below('api', path),
    );
    if (match === null || !sameName(`${match[1]}/${match[2]}`, `${owner}/${name}`)) return null;
    if (match[3] === undefined) return ok(this.#repository());
    if (Number(match[3]) !== this.#github.issue.number) return null;
    // The trigger keeps an issue's text and none of what was said about it.
    return ok(match[4] === undefined ? this.#issue() : []);
  }

  #urls(): { api: string; web: string } {
    const { apiUrl, webUrl, repository } = this.#github;
    const name = `${repository.owner}/${repository.name}`;
    return { api: `${apiUrl.replace(/\/+$/, '')}/repos/${name}`, web: `${webUrl.replace(/\/+$/, '')}/${name}` };
  }

  #repository() {
    const { id, owner, name, private: isPrivate, defaultBranch } = this.#github.repository;
    const { api, web } = this.#urls();
    return {
      id,
      name,
      full_name: `${owner}/${name}`,
      owner: { login: owner },
      private: isPrivate,
      visibility: isPrivate ? 'private' : 'public',
      default_branch: defaultBranch,
      url: api,
      html_url: web,
      clone_url: `${web}.git`,
    };
  }

  #issue() {
    const { number, title, body, author } = this.#github.issue;
    const { api, web } = this.#urls();
    return {
      number,
      title,
      body,
      user: { id: author.id, login: author.login },
      url: `${api}/issues/${number}`,
      html_url: `${web}/issues/${number}`,
      repository_url: api,
      comments_url: `${api}/issues/${number}/comments`,
    };
  }
}

/** GitHub takes the names of owners and repositories in any case. */
export const sameName = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase();

function ok(value: unknown): OwnAnswer {
  return {
    status: 200,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      'x-coatcheck-snapshot': 'text at the trigger; what was said or edited since is not in it',
    },
    body: JSON.stringify(value),
  };
}

function placeOf(url: string): Place {
  const { protocol, hostname, port, pathname } = new URL(url);
  const host = canonicalHost(hostname);
  const tls = protocol === 'https:';
  return {
    tls,
    host: host.ok ? host.host : hostname,
    port: port === '' ? (tls ? 443 : 80) : Number(port),
    prefix: pathname.replace(/\/+$/, ''),
  };
}

const covers = (place: Place, { tls, host, port }: Omit<Addressed, 'method'>): boolean =>
  place.tls === tls && place.host === host && place.port === port;

function longer(api: Place, web: Place, path: string): 'api' | 'web' {
  if (api.prefix === web.prefix) return /^\/repos\/[^/]+\/[^/]+/.test(path.slice(api.prefix.length)) ? 'api' : 'web';
  return api.prefix !== '' && pathMatches(api.prefix, path) ? 'api' : 'web';
}
