import { pathMatcher } from './glob.ts';

/** Globs of the files by which a change is measured: tests, and what the declared commands mean. */
export interface Yardstick {
  readonly tests: readonly string[];
  readonly definitions: readonly string[];
}

/** Test files, fixtures and snapshots by the conventions of common test runners. */
const TESTS: readonly string[] = [
  '**/{test,tests,__tests__,__snapshots__,spec,specs,testdata}/**',
  '**/*.{test,spec}.*',
  '**/*_{test,spec}.*',
  '**/test_*.py',
  '**/tests.py',
  '**/*{Test,Tests,IT}.{java,kt,cs,scala,groovy}',
  '**/test*.{sh,bats}',
  '**/*.bats',
];

/** What decides what a declared command runs. `package.json` and `pyproject.toml` are put back in part: see {@link MERGED}. */
const DEFINITIONS: readonly string[] = [
  // Task runners.
  '**/{Makefile,makefile,GNUmakefile,justfile,Justfile,.justfile,Rakefile,CMakeLists.txt,CTestTestfile.cmake,meson.build}',
  '**/*.mk',
  '**/{Taskfile,taskfile}.{yml,yaml}',
  '**/{noxfile.py,tox.ini,setup.cfg,turbo.json,nx.json,wireit.json}',
  // What a package manager runs in place of a script.
  '**/{.npmrc,.yarnrc,.yarnrc.yml}',
  // Test runners.
  '**/{jest,vitest,karma,playwright,cypress,ava,wdio,nyc}.config.*',
  '**/vitest.workspace.*',
  '**/{vite,babel,webpack,rollup}.config.*',
  '**/.{mocharc,nycrc,c8rc,taprc,babelrc}*',
  '**/{conftest.py,pytest.ini,.pytest.ini,.coveragerc,phpunit.xml,phpunit.xml.dist,.rspec}',
  // Linters, formatters and type checkers.
  '**/{eslint,prettier,stylelint}.config.*',
  '**/.{eslintrc,prettierrc,stylelintrc}*',
  '**/.{eslintignore,prettierignore}',
  '**/{biome.json,biome.jsonc,ruff.toml,.ruff.toml,.flake8,mypy.ini,.mypy.ini,.pylintrc,pyrightconfig.json}',
  '**/{.golangci.yml,.golangci.yaml,.rubocop.yml,clippy.toml,.clippy.toml,rustfmt.toml,.clang-tidy,.clang-format,.editorconfig}',
  '**/tsconfig*.json',
];

export const DEFAULT_YARDSTICK: Yardstick = { tests: TESTS, definitions: DEFINITIONS };

/**
 * Files that hold both definitions and ordinary content: only the definitions in them are put back.
 * package.json: `scripts` and the keys below. pyproject.toml: the `tool.*` tables but for those of dependencies.
 */
export const MERGED = ['package.json', 'pyproject.toml'] as const;

/** Keys of package.json that define what declared commands do; everything else stays as the change has it. */
export const PACKAGE_JSON_DEFINITIONS: readonly string[] = [
  'scripts',
  'config',
  'jest',
  'mocha',
  'ava',
  'tap',
  'nyc',
  'c8',
  'vitest',
  'babel',
  'eslintConfig',
  'eslintIgnore',
  'prettier',
  'stylelint',
  'xo',
  'standard',
  'tsd',
  'wireit',
  'lint-staged',
];

/** `tool` tables of pyproject.toml that hold dependencies: as dotted paths below `tool`, `*` for any one part. */
export const PYPROJECT_DEPENDENCIES: readonly string[] = [
  'poetry.dependencies',
  'poetry.dev-dependencies',
  'poetry.extras',
  'poetry.source',
  'poetry.group.*.dependencies',
  'pdm.dev-dependencies',
  'uv.dev-dependencies',
  'uv.sources',
  'setuptools.packages',
  'setuptools.package-data',
];

/** Whether a path is a test file by these globs. */
export const isTestPath = (path: string, yardstick: Yardstick = DEFAULT_YARDSTICK): boolean => matcher(yardstick.tests)(path);

/** Whether a path is, as a whole, a definition of what declared commands do. */
export const isDefinitionPath = (path: string, yardstick: Yardstick = DEFAULT_YARDSTICK): boolean =>
  matcher(yardstick.definitions)(path);

/** Whether only the definitions inside a file are put back, the rest staying as the change has it. */
export function mergedKind(path: string): (typeof MERGED)[number] | null {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return MERGED.find((merged) => merged === name) ?? null;
}

const matchers = new WeakMap<readonly string[], (path: string) => boolean>();
function matcher(globs: readonly string[]): (path: string) => boolean {
  const known = matchers.get(globs) ?? pathMatcher(globs);
  matchers.set(globs, known);
  return known;
}
