import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { GIT_ROUTE } from '../../src/door/door.ts';
import { RepositoryRule } from '../../src/policy/egress.ts';
import { OperatorConfig } from '../../src/policy/operator-config.ts';
import { ask, raw, rig, rule, sink, statusOf, type Teardown, temporary } from './door-rig.ts';

const github = {
  apiUrl: 'https://api.github.test',
  webUrl: 'https://github.test',
  repository: { id: 7, owner: 'Owner', name: 'name', private: true, defaultBranch: 'main' },
  issue: { number: 12, title: 'A title', body: 'A body', author: { id: 3, login: 'reader' }, hiddenSpansRemoved: 0 },
};
const further = (change: Partial<RepositoryRule> = {}): RepositoryRule =>
  RepositoryRule.parse({ how: 'repository', id: 'shared', repository: 'Owner/shared', phases: ['agent'], ...change });
const plain = (door: Parameters<typeof raw>[0], method: string, url: string, host: string) =>
  raw(door, `${method} ${url} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);

/** A gateway's socket where the door's own user can reach it. */
async function gateway(t: Teardown) {
  const directory = temporary(t);
  chmodSync(directory, 0o755);
  const socket = join(directory, 'git.sock');
  const served = await sink(t, undefined, { tls: false, path: socket });
  chmodSync(socket, 0o666);
  return { socket, served };
}

test('reads of the task’s own issue and repository are answered from the text at the trigger, and nothing else is', async (t) => {
  // Whoever forwards a request would find GitHub here.
  const up = await sink(t);
  const hosts = { 'api.github.test': '127.0.0.1', 'github.test': '127.0.0.1' };
  const { door, row, rows } = await rig(t, { github, hosts, rules: [rule('api.github.test', 443), rule('github.test', 443)] });
  await door.set({ phase: 'agent', model: null });
  const get = (path: string, method = 'GET') => ask(door, 'api.github.test:443', path, { method });
  const issue = await get('/repos/Owner/name/issues/12');
  assert.equal(issue.status, 200);
  assert.ok(issue.headers['x-coatcheck-snapshot']);
  assert.deepEqual(JSON.parse(issue.body), {
    ...{ number: 12, title: 'A title', body: 'A body', user: { id: 3, login: 'reader' } },
    url: 'https://api.github.test/repos/Owner/name/issues/12',
    html_url: 'https://github.test/Owner/name/issues/12',
    repository_url: 'https://api.github.test/repos/Owner/name',
    comments_url: 'https://api.github.test/repos/Owner/name/issues/12/comments',
  });
  assert.equal((await get('/repos/oWNER/NAME/issues/12/comments?per_page=100')).body, '[]');
  const { name, owner, default_branch, private: isPrivate, id } = JSON.parse((await get('/repos/owner/name')).body);
  assert.deepEqual([name, owner.login, default_branch, isPrivate, id], ['name', 'Owner', 'main', true, 7]);
  assert.equal((await get('/repos/Owner/name', 'HEAD')).body, '');
  assert.deepEqual([(await row(1)).route, (await row(1)).verdict, (await row(1)).address], ['snapshot', 'allowed', null]);
  const refused: [string, string?][] = [
    ['/repos/Owner/name/issues/13'],
    ['/repos/Owner/name/issues'],
    ['/repos/Owner/name/contents/secret'],
    ['/repos/Owner/other'],
    ['/repos/Owner/other/issues/12'],
    ['/repos/Owner/name2/issues/12'],
    ['/repos/Owner/name/issues/12/comments', 'POST'],
    ['/repos/Owner/name', 'PATCH'],
    ['/repos/Owner%2fname'],
    ['/repos//Owner/name'],
    ['/graphql', 'POST'],
    ['/user'],
    ['/gists'],
    ['/'],
  ];
  for (const [path, method] of refused) assert.equal((await get(path, method)).status, 403, `${method} ${path}`);
  assert.equal((await ask(door, 'gist.github.test:443', '/')).status, 403);
  await door.set({ phase: 'verify' });
  assert.equal((await get('/repos/Owner/name')).status, 403, 'not for declared commands');
  await row(4 + refused.length + 2);
  assert.equal(rows.filter((each) => each.verdict === 'allowed').length, 4);
  assert.equal(up.connections(), 0);
});

test('an API below a path of the web’s own server, and one in plain http', async (t) => {
  const server = { ...github, apiUrl: 'http://ghe.test:8080/api/v3', webUrl: 'http://ghe.test:8080' };
  const { socket, served } = await gateway(t);
  const { door, row } = await rig(t, { github: server, gitSocket: socket });
  await door.set({ phase: 'setup' });
  const ask = async (method: string, path: string) => plain(door, method, `http://ghe.test:8080${path}`, 'ghe.test:8080');
  assert.match(await ask('GET', '/api/v3/repos/Owner/name/issues/12'), /200 OK[\s\S]*A body/);
  assert.equal(statusOf(await ask('GET', '/api/v3/repos/Owner/other')), 403);
  assert.equal(statusOf(await ask('GET', '/repos/Owner/name/issues/12')), 403, 'not without the prefix');
  assert.equal(statusOf(await ask('GET', '/owner/NAME/info/refs?service=git-upload-pack')), 200);
  assert.equal(served.requests[0]?.url, '/Owner/name.git/info/refs?service=git-upload-pack');
  assert.equal((await row(4)).route, 'git');
});

test('the task’s repository is fetched under GitHub’s own name, others only where a rule in force opens them', async (t) => {
  const [own, shared] = [await gateway(t), await gateway(t)];
  const expired = further({ id: 'expired', repository: 'Owner/old', expires: '2020-01-01T00:00:00Z' });
  const { door, row } = await rig(t, {
    github,
    gitSocket: own.socket,
    rules: [further(), expired],
    repositories: [
      { name: 'Owner/shared', rule: 'shared', socket: shared.socket },
      { name: 'Owner/old', rule: 'expired', socket: shared.socket },
      { name: 'Owner/ruleless', rule: 'nowhere', socket: shared.socket },
    ],
  });
  await door.set({ phase: 'setup' });
  const refs = (name: string) => `/${name}/info/refs?service=git-upload-pack`;
  const web = (path: string, method = 'GET') => ask(door, 'github.test:443', path, { method });
  for (const name of ['Owner/name', 'owner/Name.git']) assert.equal((await web(refs(name))).status, 200, name);
  assert.equal((await web('/Owner/name.git/git-upload-pack', 'POST')).status, 200);
  assert.equal(statusOf(await plain(door, 'GET', `http://${GIT_ROUTE}${refs('Owner/name.git')}`, GIT_ROUTE)), 200);
  assert.deepEqual(new Set(own.served.requests.map(({ url }) => url?.split('/')[2])), new Set(['name.git']));
  const early = await web(refs('Owner/shared'));
  assert.equal(early.status, 403, 'a phase in which its rule is not open');
  assert.match(early.body, /rule shared is open in agent only/);
  await door.set({ phase: 'agent', model: null });
  assert.equal((await web(refs('owner/SHARED.git'))).status, 200);
  assert.equal(statusOf(await plain(door, 'GET', `http://${GIT_ROUTE}${refs('Owner/shared.git')}`, GIT_ROUTE)), 200);
  assert.equal(shared.served.requests[0]?.url, '/Owner/shared.git/info/refs?service=git-upload-pack');
  assert.equal((await row(6)).rule, 'shared');
  const other = await web(refs('Owner/other'));
  assert.equal(other.status, 403);
  const pasted = OperatorConfig.pick({ egress: true }).parse(parse(other.body.slice(other.body.indexOf('\negress:'))));
  assert.deepEqual(
    pasted.egress.grants.map((grant) => grant.how === 'repository' && [grant.repository, grant.phases]),
    [['Owner/other', ['agent']]],
  );
  const refused: [string, string?][] = [
    [refs('Owner/old')],
    [refs('Owner/ruleless')],
    [refs('Owner/name/..')],
    ['/Owner/name.git/info/refs?service=git-receive-pack'],
    ['/Owner/name.git/git-receive-pack', 'POST'],
    ['/Owner/shared.git/git-receive-pack', 'POST'],
    ['/Owner/name'],
    ['/Owner/name/archive/main.tar.gz'],
    ['/Owner%2fname.git/info/refs?service=git-upload-pack'],
  ];
  const asked = own.served.requests.length + shared.served.requests.length;
  for (const [path, method] of refused) assert.ok([400, 403].includes((await web(path, method)).status), `${method} ${path}`);
  assert.equal(own.served.requests.length + shared.served.requests.length, asked);
});
