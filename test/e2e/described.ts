import type Docker from 'dockerode';

/** What an engine leaves unset, in whichever way it says so; newer ones know more names, and say nothing under them. */
const isNothing = (value: unknown): boolean =>
  value === null ||
  value === undefined ||
  value === '' ||
  value === 0 ||
  value === false ||
  (typeof value === 'object' && Object.values(value).every(isNothing));

const said = (part: object): Record<string, unknown> =>
  Object.fromEntries(Object.entries(part).filter(([, value]) => !isNothing(value)));

/** Follows from the machine's version of control groups and not from what was asked for. */
const MACHINES_OWN = ['CgroupnsMode'];

/**
 * Everything that an engine says it applied to a container and that is not nothing, to be compared as a whole: what is
 * not foreseen is a difference. What is different for each sandbox has a name in its place.
 */
export function described(
  { HostConfig, Config, Mounts, Image }: Docker.ContainerInspectInfo,
  names: Record<string, string>,
): unknown {
  const { Labels, ...config } = Config;
  const host = Object.entries(said(HostConfig)).filter(([name]) => !MACHINES_OWN.includes(name));
  const all = { HostConfig: Object.fromEntries(host), Config: said(config), Labels: Object.keys(Labels), Mounts };
  const text = Object.entries({ ...names, [Image]: 'IMAGE', [Config.Hostname]: 'HOSTNAME' }).reduce(
    (whole, [value, name]) => whole.replaceAll(value, name),
    JSON.stringify(all),
  );
  return JSON.parse(text);
}
