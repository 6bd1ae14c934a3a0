/** Where the runtime writes what it saw; each sandbox a file of its own, readable to root alone. */
export const LOG_DIRECTORY = '/run/coatcheck-witness/';

/** System calls that tell which programs ran, who started them, and where they connected to. */
const SYSCALLS = 'execve,execveat,clone,clone3,fork,vfork,connect';

/**
 * What makes runsc write down what runs inside; `runsc flags` explains each. The format must be JSON: paths stand in the
 * text format as they are, so a file name with a line break in it would forge a line.
 * Set-up registers the same, see src/setup/daemon-json.mjs.
 */
const ARGUMENTS = [
  `--debug-log=${LOG_DIRECTORY}%TIMESTAMP%.%COMMAND%.json`,
  '--debug-log-format=json',
  '--debug-command=boot',
  '--strace',
  `--strace-syscalls=${SYSCALLS}`,
];

/** Whether a runtime that is started with these arguments keeps the log that is read here. */
export function hasWitness(runtimeArguments: readonly string[]): boolean {
  // On the command lines of its processes runsc spells `--strace` as `--strace=true`.
  const given = new Set(runtimeArguments.map((argument) => argument.replace(/=true$/, '')));
  return ARGUMENTS.every((argument) => given.has(argument));
}
