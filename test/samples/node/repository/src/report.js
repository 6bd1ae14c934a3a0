import { areaFinder } from './areas.js';

/**
 * One line for each area that the paths touch, in the order of the areas' names.
 *
 * @param {{ name: string, owner: string, patterns: string[] }[]} areas
 * @param {string[]} paths
 */
export function report(areas, paths) {
  const areaOf = areaFinder(areas);
  const counts = new Map();
  for (const path of paths) {
    const area = areaOf(path);
    if (area !== null) counts.set(area, (counts.get(area) ?? 0) + 1);
  }
  const owners = new Map(areas.map(({ name, owner }) => [name, owner]));
  return [...counts].sort(([a], [b]) => a.localeCompare(b)).map(([name, count]) => `${name} (${owners.get(name)}): ${count}`);
}
