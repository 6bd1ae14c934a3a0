import picomatch from 'picomatch';
import { pathMatcher } from './glob.ts';
import { RULE_FILES } from './rule-file.ts';

/**
 * Paths that decide what runs with the owner's rights, who reviews, or what an agent is told: a change that
 * touches one is held or refused, as the policy says. Operators and repositories add to this list and cannot take from it.
 * CODEOWNERS is read from three places:
 * https://docs.github.com/en/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners
 */
export const PROTECTED_PATHS: readonly string[] = [
  // Runs with the repository's secrets.
  '.github/workflows/**',
  '.github/actions/**',
  '**/action.{yml,yaml}',
  '.github/dependabot.{yml,yaml}',
  '.gitlab-ci.yml',
  '.circleci/**',
  '.travis.yml',
  'azure-pipelines.yml',
  'Jenkinsfile',
  '.buildkite/**',
  // Decides who reviews.
  'CODEOWNERS',
  '.github/CODEOWNERS',
  'docs/CODEOWNERS',
  // Decides what agents are told and may do, ours first.
  '.github/coatcheck.{yml,yaml}',
  ...RULE_FILES.map((name) => `**/${name}`),
  '**/CLAUDE.local.md',
  '**/AGENTS.override.md',
  '**/GEMINI.md',
  '**/.mcp.json',
  '**/.{claude,codex,gemini,opencode,agents,continue,windsurf,clinerules,roo}/**',
  '**/.cursor*',
  '**/.cursor*/**',
  '**/.{windsurfrules,clinerules,aider.conf.yml}',
  '.github/copilot*',
  '.github/{instructions,prompts,agents,chatmodes,skills}/**',
  // Runs on the machine of whoever opens or clones the repository.
  '**/.vscode/**',
  '**/.idea/**',
  '**/.devcontainer/**',
  '**/.devcontainer.json',
  '**/.envrc',
  '**/.husky/**',
  '**/.githooks/**',
  '**/.pre-commit-config.yaml',
  '**/lefthook.{yml,yaml}',
  // Changes what git itself does.
  '**/.gitmodules',
  '**/.gitattributes',
  '**/.lfsconfig',
];

/** The globs in force: the defaults and everything that was added to them. */
export const protectedPaths = (...added: readonly (readonly string[])[]): string[] => [
  ...new Set([...PROTECTED_PATHS, ...added.flat()]),
];

/**
 * Tells by which glob a path is protected, or null. A path that stands where a protected directory stands, or would
 * stand, counts as that directory: a link there puts another directory in its place.
 */
export function protectionOf(globs: readonly string[]): (path: string) => string | null {
  const matchers = globs.map((glob) => {
    const fixed = `${picomatch.scan(glob).base.toLowerCase()}/`;
    return { glob, matches: pathMatcher([glob]), fixed };
  });
  const find = (path: string) =>
    matchers.find(({ matches, fixed }) => matches(path) || fixed.startsWith(`${path.toLowerCase()}/`))?.glob ?? null;
  return (path) => find(path) ?? find(plainPath(path));
}

/** As file systems that fold names see a path: compatibility forms united, invisible characters gone. */
export const plainPath = (path: string): string => path.normalize('NFKC').replace(/\p{Default_Ignorable_Code_Point}/gu, '');
