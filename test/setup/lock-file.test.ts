import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';

const root = join(import.meta.dirname, '../..');
const Names = z.record(z.string(), z.string()).default({});
/** npm takes one name or a list of them. */
const Platforms = z.union([z.array(z.string()), z.string().transform((one) => [one])]);
const Lock = z.object({
  packages: z.record(
    z.string(),
    z.object({
      version: z.string().optional(),
      resolved: z.string().optional(),
      integrity: z.string().optional(),
      os: Platforms.default(['linux']),
      cpu: Platforms.default(['x64']),
      libc: Platforms.default(['glibc']),
      dependencies: Names,
      optionalDependencies: Names,
    }),
  ),
});

const FILES = ['package-lock.json', 'runner-image/package-lock.json'];
const read = (file: string) => Lock.parse(JSON.parse(readFileSync(join(root, file), 'utf8'))).packages;

/** Whether `name` is found from the package at `path`, going up as Node does. */
function isLocked(packages: ReturnType<typeof read>, path: string, name: string): boolean {
  for (let folder = path; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    if (packages[`${folder === '' ? '' : `${folder}/`}node_modules/${name}`] !== undefined) return true;
    if (folder === '') return false;
  }
}

for (const file of FILES) {
  test(`${file} has every package that npm ci will ask for, those of other platforms too`, () => {
    const packages = read(file);
    const missing = Object.entries(packages).flatMap(([path, entry]) =>
      Object.keys({ ...entry.dependencies, ...entry.optionalDependencies })
        .filter((name) => !isLocked(packages, path, name))
        .map((name) => `${path}: ${name}`),
    );
    // A registry that lacks a platform's package makes npm leave it out of the lock file, and `npm ci` then refuses the whole file.
    assert.deepEqual(missing, []);
  });

  test(`${file} names no registry, and pins the content of whatever is installed on Linux`, () => {
    const entries = Object.entries(read(file)).filter(([path]) => path !== '');
    assert.deepEqual(
      entries.filter(([, entry]) => entry.resolved !== undefined),
      [],
    );
    const here = entries.filter(
      ([, { os, cpu, libc }]) => os.includes('linux') && (cpu.includes('x64') || cpu.includes('arm64')) && libc.includes('glibc'),
    );
    const unpinned = here.filter(
      ([path, entry]) => entry.integrity === undefined && !path.includes('node_modules/npm/node_modules/'),
    );
    assert.deepEqual(
      unpinned.map(([path]) => path),
      [],
    );
    assert.ok(here.length > 2);
  });
}
