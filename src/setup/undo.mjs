/** Takes back what set-up did, last first. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { run } from './command.mjs';
import { removeRuntime } from './daemon-json.mjs';
import { reloadEngine } from './docker-engine.mjs';
import { engine, engineInfo } from './engine.mjs';
import { readDeeds, writeDeeds } from './state.mjs';

/**
 * @param {import('./step.mjs').Context} context
 * @param {import('./state.mjs').Deed} deed
 */
async function takeBack(context, deed) {
  const { files, say } = context;
  switch (deed.deed) {
    case 'image': {
      const { status } = await engine(files.dockerSocket, 'DELETE', `/images/${deed.reference}`).catch(() => ({ status: 0 }));
      return say(status === 200 ? `removed the image ${deed.reference}` : `image ${deed.reference}: not there any more`);
    }
    case 'dockerd': {
      const comm = `/proc/${deed.pid}/comm`;
      if (!existsSync(comm) || readFileSync(comm, 'utf8').trim() !== 'dockerd') return;
      process.kill(deed.pid, 'SIGTERM');
      return say(`stopped dockerd (process ${deed.pid})`);
    }
    case 'runtime': {
      removeRuntime(deed.file, deed.created);
      say(`took the coatcheck runtime out of ${deed.file}`);
      if ((await engineInfo(files.dockerSocket)) !== null) await reloadEngine(context);
      return;
    }
    case 'mounts': {
      for (const path of deed.paths) await run('umount', ['-R', path], { allowFailure: true });
      return say(`unmounted ${deed.paths.join(', ')} where nothing uses it`);
    }
    case 'packages': {
      // `remove`, not `purge`: data that people have put there since is theirs.
      await run('apt-get', ['remove', '-y', ...deed.names]);
      return say(`removed ${deed.names.length} packages: ${deed.names.join(' ')}`);
    }
    case 'apt_file': {
      rmSync(deed.path, { force: true });
      return say(`removed ${deed.path}`);
    }
    case 'node_modules': {
      rmSync(deed.path, { recursive: true, force: true });
      return say(`removed ${deed.path}`);
    }
  }
}

/**
 * Each deed is forgotten once it is taken back, so that an undo that was cut short goes on where it stopped.
 * @param {import('./step.mjs').Context} context
 */
export async function undo(context) {
  let did = readDeeds(context.files.state);
  if (did.length === 0) context.say('nothing to take back: set-up added nothing to this machine');
  for (let deed = did.at(-1); deed !== undefined; deed = did.at(-1)) {
    await takeBack(context, deed);
    did = did.slice(0, -1);
    writeDeeds(context.files.state, did);
  }
}
