import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type Docker from 'dockerode';

/** SHA-256 in hex over what the engine says it applied: image, configuration, host configuration and mounts. */
export function inspectDigest({ Image, Config, HostConfig, Mounts }: Docker.ContainerInspectInfo): string {
  const applied = canonicalize({ Image, Config, HostConfig, Mounts }) ?? '';
  return createHash('sha256').update(applied).digest('hex');
}
