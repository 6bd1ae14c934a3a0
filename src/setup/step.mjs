/**
 * What a step of the set-up is, and what it is given.
 *
 * @typedef {ReturnType<typeof import('./places.mjs').machineFiles>} MachineFiles
 *
 * @typedef {object} Context
 * @property {MachineFiles} files
 * @property {boolean} root whether this process may change the machine
 * @property {(text: string) => void} say one line of progress
 * @property {(deed: import('./state.mjs').Deed) => void} record called before a thing is done, so that undo knows of it whatever happens
 *
 * @typedef {{ ok: true, detail: string } | { ok: false, missing: string, command: string }} Finding
 *   `command`: what a person runs to put it right by hand
 *
 * @typedef {object} Step
 * @property {string} name
 * @property {'packages' | 'machine'} needs
 * @property {(context: Context) => Promise<Finding>} check changes nothing
 * @property {(context: Context) => Promise<void>} apply idempotent
 */
export {};
