import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { INSPECTED, type Outside, TUNNELLED } from './outside.ts';
import { asNobody, freePort, needed, type Running, serve } from './programs.ts';

export interface Squid extends Running {
  readonly port: number;
  /** PEM of who signs what it shows to its clients. */
  readonly authority: string;
}

/** squid with the door's allow list: one host inspected under one path, one host passed through by its SNI. */
export async function openSquid(outside: Outside): Promise<Squid> {
  const { directory } = outside;
  const port = await freePort();
  const makers = '/usr/lib/squid/security_file_certgen';
  execFileSync(makers, ['-c', '-s', join(directory, 'issued'), '-M', '4MB'], { ...asNobody(), stdio: 'ignore' });
  writeFileSync(join(directory, 'hosts'), `127.0.0.1 ${INSPECTED} ${TUNNELLED}\n`);
  writeFileSync(join(directory, 'squid.conf'), configuration(outside, port, makers));
  const running = await serve(needed('squid'), ['-N', '-f', join(directory, 'squid.conf')], { port, host: '127.0.0.1' });
  return {
    pid: running.pid,
    port,
    authority: readFileSync(join(directory, 'squid.pem'), 'utf8'),
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

/** wiki.squid-cache.org/Features/SslPeekAndSplice: peek at the name, then splice or bump. */
const configuration = ({ directory, port, sinkPort }: Outside, listen: number, makers: string): string => `
http_port 127.0.0.1:${listen} ssl-bump generate-host-certificates=on dynamic_cert_mem_cache_size=4MB tls-cert=${directory}/squid.pem tls-key=${directory}/squid.key
sslcrtd_program ${makers} -s ${directory}/issued -M 4MB
sslcrtd_children 2 startup=1 idle=1
tls_outgoing_options cafile=${directory}/outside.pem
hosts_file ${directory}/hosts

acl step1 at_step SslBump1
acl tunnelled ssl::server_name ${TUNNELLED}
acl hosts dstdomain ${INSPECTED} ${TUNNELLED}
acl ports port ${port} ${sinkPort}
acl CONNECT method CONNECT
acl methods method GET HEAD POST
acl paths urlpath_regex ^/files/
http_access deny !hosts
http_access deny !ports
http_access allow CONNECT
http_access deny !methods
http_access allow paths
http_access deny all
ssl_bump peek step1
ssl_bump splice tunnelled
ssl_bump bump all

cache deny all
cache_mem 0
access_log stdio:${directory}/access.log
cache_log ${directory}/cache.log
cache_store_log none
pid_filename none
netdb_filename none
pinger_enable off
coredump_dir ${directory}
shutdown_lifetime 0 seconds
visible_hostname localhost
client_persistent_connections on
server_persistent_connections on
`;
