#!/usr/bin/env node
/** What `npx coatcheck` runs: reading and checking records needs no Docker, the quickstart does. */
import { launch } from './launch.mjs';

const args = process.argv.slice(2);
await launch(args[0] === 'quickstart' ? 'machine' : 'packages', 'src/cli/main.ts', args);
