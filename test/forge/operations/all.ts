/** Every operation that the forge serves, by its name in GitHub's description. */
import type { Handlers } from '../call.ts';
import { apps } from './apps.ts';
import { checks } from './checks.ts';
import { gitData } from './git-data.ts';
import { hooks, meta } from './hooks.ts';
import { issues } from './issues.ts';
import { pulls } from './pulls.ts';
import { repositories } from './repositories.ts';

export const HANDLERS: Handlers = { ...apps, ...hooks, ...meta, ...repositories, ...gitData, ...issues, ...pulls, ...checks };
