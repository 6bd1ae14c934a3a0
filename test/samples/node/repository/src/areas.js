import picomatch from 'picomatch';

/**
 * Makes a function that tells the area of a path.
 *
 * Areas are given as in a CODEOWNERS file: general patterns first, special ones below them.
 * The last area with a matching pattern wins; a path that no pattern matches has no area.
 *
 * @param {{ name: string, owner: string, patterns: string[] }[]} areas
 * @returns {(path: string) => string | null}
 */
export function areaFinder(areas) {
  const matchers = areas.map(({ name, patterns }) => ({ name, matches: picomatch(patterns, { dot: true }) }));
  return (path) => matchers.find(({ matches }) => matches(path))?.name ?? null;
}
