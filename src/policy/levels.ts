import type { OrganisationConfig } from './organisation-config.ts';
import { ORGANISATION_CONFIG, ORGANISATION_REPOSITORY } from './organisation-config.ts';
import { REPOSITORY_CONFIG, type RepositoryConfig } from './repository-config.ts';

/** What the levels below the operator's have in common, by the words that messages have for them. */
export interface Level {
  readonly name: 'the organisation' | 'the repository';
  /** Where it is written, for a person. */
  readonly file: string;
  readonly asks: Pick<
    RepositoryConfig & OrganisationConfig,
    'limits' | 'egress' | 'protect' | 'yardstick' | 'quarantine' | 'runtime'
  >;
}

/** The levels that there are, the wider first. */
export function levelsOf(organisation: OrganisationConfig | null, repository: RepositoryConfig | null): Level[] {
  const levels: Level[] = [];
  if (organisation !== null) {
    const file = `${ORGANISATION_CONFIG} of the repository ${ORGANISATION_REPOSITORY}`;
    levels.push({ name: 'the organisation', file, asks: organisation });
  }
  if (repository !== null) levels.push({ name: 'the repository', file: REPOSITORY_CONFIG, asks: repository });
  return levels;
}

/** Names that may be asked for, and who says so. */
export interface Names {
  readonly allowed: readonly string[];
  readonly by: string;
  /** Who asked for exactly these; null while nobody did. */
  readonly askedBy: Level['name'] | null;
}

/** Narrows names by what a level asks for; one that is not allowed becomes a problem. What is not asked for changes nothing. */
export function narrowNames(
  what: string,
  names: Names,
  level: Level['name'],
  asked: readonly string[] | undefined,
  problems: string[],
): Names {
  if (asked === undefined) return names;
  for (const name of asked) {
    if (!names.allowed.includes(name))
      problems.push(`${what}: ${level} asks for "${name}", ${names.by} allows ${list(names.allowed)}.`);
  }
  return { allowed: [...new Set(asked)].filter((name) => names.allowed.includes(name)), by: level, askedBy: level };
}

/** Names as a sentence has them. */
const list = (names: readonly string[]): string => (names.length > 0 ? names.map((name) => `"${name}"`).join(', ') : 'none');
