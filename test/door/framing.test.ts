import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressed } from '../../src/door/addressed.ts';
import { HEAD_LIMIT } from '../../src/door/listener.ts';
import { RUNS } from '../property-runs.ts';

interface Read {
  readonly method: string;
  readonly target: string;
  readonly body: string;
}

/** What the door takes these bytes for: requests that it would decide, with their whole bodies, up to the first refusal. */
async function atTheDoor(bytes: string): Promise<Read[]> {
  const taken: Read[] = [];
  let refused = false;
  const server = createServer({ requireHostHeader: false, maxHeaderSize: HEAD_LIMIT }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => {});
    try {
      if (!refused) addressed(request, null);
    } catch {
      refused = true;
    }
    const counts = !refused;
    request.on('end', () => {
      if (counts)
        taken.push({ method: request.method ?? '', target: request.url ?? '', body: Buffer.concat(chunks).toString('latin1') });
      response.end();
    });
  });
  server.maxHeadersCount = 0;
  server.on('clientError', (_, socket) => socket.destroy());
  server.on('connect', (_, socket) => socket.destroy());
  const [wire, side] = duplexPair();
  wire.on('error', () => {});
  side.on('error', () => {});
  wire.resume();
  const over = new Promise<void>((resolve) => {
    wire.once('end', () => resolve());
    wire.once('close', () => resolve());
    side.once('close', () => resolve());
  });
  server.emit('connection', side);
  wire.end(bytes, 'latin1');
  await over;
  wire.destroy();
  side.destroy();
  return taken;
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/**
 * RFC 9112 to the letter, with two leniences of its own: more than one space before the target (section 3), and empty lines
 * before a request, ended by LF alone too (section 2.2). The requests that stand in these bytes, up to the first that is
 * not well-formed or not whole.
 */
function byTheBook(bytes: string): Read[] {
  const found: Read[] = [];
  let rest = bytes;
  for (;;) {
    rest = rest.replace(/^(?:\r?\n)+/, '');
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) return found;
    const [line = '', ...fields] = rest.slice(0, end).split('\r\n');
    const start = /^([A-Z]+) +([\x21-\x7e]+) HTTP\/1\.([01])$/.exec(line);
    const headers = fields.map((field) => /^([^:]*):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*$/.exec(field));
    if (start === null || headers.some((each) => each === null || !TOKEN.test(each[1] ?? ''))) return found;
    const values = (name: string) => headers.filter((each) => each?.[1]?.toLowerCase() === name).map((each) => each?.[2] ?? '');
    const [lengths, codings] = [values('content-length'), values('transfer-encoding')];
    if (values('host').length !== 1 || lengths.length + codings.length > 1) return found;
    const body = bodyOf(rest.slice(end + 4), lengths[0], codings[0]);
    if (body === null || (codings.length > 0 && start[3] === '0')) return found;
    found.push({ method: start[1] ?? '', target: start[2] ?? '', body: body.text });
    rest = body.rest;
  }
}

function bodyOf(bytes: string, length: string | undefined, coding: string | undefined): { text: string; rest: string } | null {
  if (coding !== undefined) return coding.toLowerCase() === 'chunked' ? chunks(bytes) : null;
  if (length === undefined) return { text: '', rest: bytes };
  if (!/^\d{1,9}$/.test(length) || bytes.length < Number(length)) return null;
  return { text: bytes.slice(0, Number(length)), rest: bytes.slice(Number(length)) };
}

function chunks(bytes: string): { text: string; rest: string } | null {
  let [text, rest] = ['', bytes];
  for (;;) {
    const head = /^([0-9a-f]{1,8})(?:;[\t\x20-\x7e]*)?\r\n/i.exec(rest);
    if (head === null) return null;
    const size = Number.parseInt(head[1] ?? '', 16);
    rest = rest.slice(head[0].length);
    if (size === 0) {
      const end = /^(?:[^\r\n:]+:[^\r\n]*\r\n)*\r\n/.exec(rest);
      return end === null ? null : { text, rest: rest.slice(end[0].length) };
    }
    if (rest.slice(size, size + 2) !== '\r\n') return null;
    text += rest.slice(0, size);
    rest = rest.slice(size + 2);
  }
}

const often = <T>(usual: T, ...odd: T[]) =>
  fc.oneof({ weight: 40, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...odd) });
const eol = often('\r\n', '\n', '\r', '\r\r\n', '\r\n ');
const hidden = 'GET http://up.test/hidden HTTP/1.1\r\nHost: up.test\r\n\r\n';
const odd = fc.constantFrom(
  ...['5', '0', '05', '+5', '-1', '5, 5', '0x5', '5 ', '5\t', '5;', '', '99999999999999999999', '4_0'].map(
    (value) => `Content-Length: ${value}`,
  ),
  ...[
    'chunked',
    'Chunked',
    ' chunked',
    'chunked ',
    'identity',
    'gzip, chunked',
    'chunked, identity',
    'xchunked',
    'chun\tked',
    '\x0bchunked',
    'chunked,',
    '"chunked"',
  ].map((value) => `Transfer-Encoding: ${value}`),
  ...[
    'Content-Length : 5',
    ' Content-Length: 5',
    'Content-Length:5',
    'content-length\t: 5',
    'Content_Length: 5',
    'Content-Length\x00: 5',
    'Content-Length',
  ],
  ...[
    'Transfer-Encoding : chunked',
    'Transfer_Encoding: chunked',
    'Transfer-Encoding:\x0cchunked',
    'Transfer-Encoding\r: chunked',
    'X: y\r\n Transfer-Encoding: chunked',
  ],
  ...[
    'Host: up.test',
    'Host: other.test',
    'Trailer: x',
    'Connection: content-length',
    'Expect: 100-continue',
    'X-Plain: y',
    'X: a\rb',
    'X: a\x00b',
  ],
);
const fitting = fc.constantFrom(
  'Content-Length: 5',
  'Transfer-Encoding: chunked',
  'Content-Length: 0',
  'X-Plain: y',
  'Transfer-Encoding: Chunked',
);
const framing = fc.oneof({ weight: 2, arbitrary: fitting }, { weight: 1, arbitrary: odd });
const body = fc.constantFrom(
  ...[
    '',
    'hello',
    '5\r\nhello\r\n0\r\n\r\n',
    '0\r\n\r\n',
    '5;a=b\r\nhello\r\n0\r\n\r\n',
    '5\nhello\n0\n\n',
    '05\r\nhello\r\n0\r\n\r\n',
    '5 \r\nhello\r\n0\r\n\r\n',
  ],
  ...[
    '0x5\r\nhello\r\n0\r\n\r\n',
    '5\r\nhello0\r\n\r\n',
    '5\r\nhello\r\n0\r\nX: y\r\n\r\n',
    '5\r\nhello\r\n0\r\n',
    '-1\r\n',
    'fffffffffffffffff\r\n',
    '5\r\r\nhello\r\n0\r\n\r\n',
  ],
);
const request = fc
  .record({
    line: often(
      'POST http://up.test/ HTTP/1.1',
      'GET http://up.test/ HTTP/1.1',
      'POST http://up.test/ HTTP/1.0',
      'POST  http://up.test/ HTTP/1.1',
      'post http://up.test/ HTTP/1.1',
      'POST http://up.test/ HTTP/1.2',
    ),
    host: often('Host: up.test', 'Host : up.test', 'X: y'),
    fields: fc.array(framing, { maxLength: 3 }),
    eols: fc.array(eol, { minLength: 6, maxLength: 6 }),
    body,
  })
  .map(({ line, host, fields, eols, body: sent }) => {
    const lines = [line, host, ...fields].map((each, index) => each + (eols[index] ?? '\r\n'));
    return `${lines.join('')}${eols[5]}${sent}`;
  });

test('what the door takes for requests are exactly those that stand there by the book', async () => {
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 2 }), async (requests) => {
      const bytes = requests.join('') + hidden;
      const taken = await atTheDoor(bytes);
      accepted += taken.length;
      const book = byTheBook(bytes);
      assert.deepEqual(taken, book.slice(0, taken.length));
    }),
    { numRuns: RUNS },
  );
  assert.ok(accepted > RUNS / 40, `${accepted} requests were accepted`);
});

test('well-formed requests are accepted, whole', async () => {
  const plain = 'POST http://up.test/ HTTP/1.1\r\nHost: up.test\r\nContent-Length: 5\r\n\r\nhello';
  const chunked = 'POST http://up.test/ HTTP/1.1\r\nHost: up.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n';
  const post = { method: 'POST', target: 'http://up.test/', body: 'hello' };
  assert.deepEqual(await atTheDoor(plain + chunked + hidden), [
    post,
    post,
    { method: 'GET', target: 'http://up.test/hidden', body: '' },
  ]);
});
