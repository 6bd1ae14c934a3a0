import type { Remote } from './remote.ts';

/** Settings that every git process of ours gets: nothing runs by itself, nothing is asked, everything is checked. */
const ALWAYS: readonly (readonly [string, string])[] = [
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['core.protectNTFS', 'true'],
  ['core.protectHFS', 'true'],
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
  ['submodule.recurse', 'false'],
  ['fetch.recurseSubmodules', 'false'],
  // A pack is kept as it came: one file, so that a cap on a file's size is a cap on the transfer.
  ['transfer.unpackLimit', '1'],
  ['transfer.fsckObjects', 'true'],
  // Faults of old tools in the history of many honest repositories; what GitHub accepts must be fetched.
  ['fetch.fsck.badTimezone', 'ignore'],
  ['fetch.fsck.missingSpaceBeforeDate', 'ignore'],
  ['fetch.fsck.zeroPaddedFilemode', 'ignore'],
  ['fetch.fsck.missingTaggerEntry', 'ignore'],
  ['protocol.version', '2'],
  ['credential.helper', ''],
  // A token goes to the address it was minted for and to no other.
  ['http.followRedirects', 'false'],
  ['http.lowSpeedLimit', '1000'],
  ['http.lowSpeedTime', '60'],
  // The directory's owner is no criterion: the path is always given by us.
  ['safe.directory', '*'],
];

export interface EnvironmentOptions {
  readonly remote?: Remote;
  /** Transports git may use at all; none by default. */
  readonly protocols?: 'http:https' | 'file';
  readonly config?: readonly (readonly [string, string])[];
  readonly variables?: Readonly<Record<string, string>>;
}

/**
 * The whole environment of a git process, nothing inherited: no configuration of the machine or its user, no prompt,
 * settings by GIT_CONFIG_COUNT/KEY/VALUE (git ≥ 2.31). The token is among those, so that it stands neither in a URL
 * nor in an argument nor in a file.
 */
export function gitEnvironment(options: EnvironmentOptions = {}): Record<string, string> {
  const { remote } = options;
  const config = [...ALWAYS, ...(remote === undefined ? [] : remoteConfig(remote)), ...(options.config ?? [])];
  return {
    PATH: '/usr/bin:/bin',
    HOME: '/nonexistent',
    LC_ALL: 'C.UTF-8',
    GIT_TERMINAL_PROMPT: '0',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_ALLOW_PROTOCOL: options.protocols ?? 'none',
    GIT_CONFIG_COUNT: String(config.length),
    ...Object.fromEntries(
      config.flatMap(([key, value], i) => [
        [`GIT_CONFIG_KEY_${i}`, key],
        [`GIT_CONFIG_VALUE_${i}`, value],
      ]),
    ),
    ...(remote === undefined ? {} : networkVariables(remote)),
    ...options.variables,
  };
}

/** GitHub takes an installation token as the password of `x-access-token`: docs.github.com, "Authenticating as a GitHub App installation". */
function remoteConfig(remote: Remote): [string, string][] {
  const basic = Buffer.from(`x-access-token:${remote.token}`).toString('base64');
  return [[`http.${new URL(remote.url).origin}/.extraHeader`, `Authorization: Basic ${basic}`]];
}

function networkVariables({ network }: Remote): Record<string, string> {
  return {
    ...(network.authorities === null ? {} : { GIT_SSL_CAINFO: network.authorities }),
    ...(network.proxy === null ? {} : { http_proxy: network.proxy, https_proxy: network.proxy }),
    ...(network.noProxy === null ? {} : { no_proxy: network.noProxy }),
  };
}
