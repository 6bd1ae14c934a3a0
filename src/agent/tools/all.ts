import { edit } from './edit.ts';
import { list } from './list.ts';
import { read } from './read.ts';
import { run } from './run.ts';
import { search } from './search.ts';
import type { AgentTool } from './tool.ts';
import { write } from './write.ts';

/** All tools of the built-in harness; a plan gets those that only read. */
export const TOOLS: readonly AgentTool[] = [read, list, search, edit, write, run];
