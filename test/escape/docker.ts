import Docker from 'dockerode';

export const DOCKER_SOCKET = '/var/run/docker.sock';
export const docker = new Docker({ socketPath: DOCKER_SOCKET });
