// Listens on 127.0.0.1 for the services of a task and asks the door for each connection by name (CONNECT).
// Arguments: LISTEN=HOST:PORT …; says "ready" once all of them are open. What the door refuses is closed at once.
import { request } from 'node:http';
import { connect, createServer } from 'node:net';

const DOOR = '/run/coatcheck/door.sock';

/** Passes bytes on in one direction, with backpressure; an end is passed on as an end, a failure as a failure. */
function splice(from, to) {
  from.pipe(to);
  from.on('error', () => to.destroy());
  // Closed before the other side was done: nobody reads the rest.
  from.on('close', () => to.readableEnded || to.destroy());
}

function relay(client, target) {
  const asked = request({
    method: 'CONNECT',
    path: target,
    headers: { host: target },
    createConnection: () => connect({ path: DOOR, allowHalfOpen: true }),
  });
  client.on('error', () => asked.destroy());
  client.on('close', () => asked.destroy());
  asked.on('error', () => client.destroy());
  asked.on('response', (refused) => {
    refused.destroy();
    client.destroy();
  });
  asked.on('connect', (answer, upstream, head) => {
    upstream.on('error', () => client.destroy());
    if (answer.statusCode !== 200 || client.destroyed) {
      upstream.destroy();
      client.destroy();
      return;
    }
    upstream.unshift(head);
    splice(client, upstream);
    splice(upstream, client);
  });
  asked.end();
}

const services = process.argv.slice(2).map((text) => text.split('='));
await Promise.all(
  services.map(
    ([listen, target]) =>
      new Promise((resolve, reject) => {
        const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => relay(client, target));
        server.once('error', reject).listen(Number(listen), '127.0.0.1', resolve);
      }),
  ),
);
process.stdout.write('ready\n');
