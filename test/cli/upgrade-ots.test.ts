// Completing .ots files, by calendars that may be anybody's.

import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { complete } from '../../src/cli/ots-completion.ts';
import { isPublicCalendar } from '../../src/cli/public-calendars.ts';
import { writeWhole } from '../../src/cli/whole-file.ts';
import { concat, fromHex, toHex, utf8 } from '../../src/core/bytes.ts';
import { calendarClient } from '../../src/ots/calendar-client.ts';
import { parseOtsFile, serializeOtsFile } from '../../src/ots/file.ts';
import { timestampLines } from '../../src/ots/line.ts';
import { serializeTimestamp } from '../../src/ots/serialization.ts';
import { type Timestamp, TimestampBuilder } from '../../src/ots/timestamp.ts';
import { type ChainServer, GENESIS, nextHeader, SECOND, serve, serveChain } from '../bitcoin/chain-server.ts';
import { way } from '../support/memory-bitcoin.ts';
import { run } from './command.ts';

const CONTENT = utf8('what the file is about');
/** A height that attestations to Bitcoin can have. */
const FIRST = 900_000;
let folder: string;
let content: string;
let file: string;
const servers: ChainServer[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'antequem-ots-'));
  content = join(folder, 'document');
  file = `${content}.ots`;
  await writeFile(content, CONTENT);
});
afterEach(async () => {
  for (const server of servers.splice(0)) await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

type Answer = Parameters<typeof serve>[0];
const calendar = async (answer: Answer): Promise<ChainServer> => {
  const server = await serve(answer);
  servers.push(server);
  return server;
};
const bytes =
  (given: Uint8Array, status = 200): Answer =>
  (_, response) =>
    void response.writeHead(status).end(given);

/** A file that these calendars have promised to know more of, and for each the message it will be asked for. */
async function pendingFile(...uris: string[]): Promise<Uint8Array[]> {
  const builder = new TimestampBuilder(sha256(CONTENT));
  const messages = uris.map((uri, i) => builder.follow(way(`calendar ${i}`)).attest({ kind: 'pending', uri }).message);
  await writeFile(file, serializeOtsFile({ hash: 'sha256', timestamp: builder.finish() }));
  return messages;
}

/** From a message to a block at this height, and the merkle root it leads to. */
function toBlock(message: Uint8Array, height: number): { answer: Uint8Array; root: Uint8Array } {
  const builder = new TimestampBuilder(message);
  const end = builder.follow(way(`block ${height}`)).attest({ kind: 'bitcoin', height });
  return { answer: serializeTimestamp(builder.finish()), root: end.message };
}

const upgrade = (...args: string[]) => run(['upgrade', file, ...args]);
const listed = (timestamp: Timestamp): string[] =>
  [...timestampLines(timestamp)].map(({ attestation }) => attestation.kind);
const attestations = async (): Promise<string[]> => listed(parseOtsFile(await readFile(file)).timestamp);

test('is completed in place, a backup kept, and proven by a node then', async () => {
  let answer = new Uint8Array(0);
  const alice = await calendar((_, response) => {
    if (answer.length === 0) response.writeHead(404).end('Pending confirmation in Bitcoin blockchain');
    else response.end(answer);
  });
  const [message = new Uint8Array(0)] = await pendingFile(alice.url);
  await chmod(file, 0o640);
  const original = await readFile(file);

  const early = await upgrade('--calendar', `${alice.url}/`);
  expect(early).toMatchObject({ code: 2, stdout: expect.stringContaining('nothing new') });
  expect(await readdir(folder)).toEqual(['document', 'document.ots']);
  const unproven = await run(['verify', content, file]);
  expect(unproven.code).toBe(2);
  expect(unproven.stdout).toContain(`${alice.url} has accepted it`);
  expect(unproven.stderr).toContain('antequem upgrade');

  const block = toBlock(message, 2);
  answer = Uint8Array.from(block.answer);
  const done = await upgrade('--calendar', alice.url);
  expect(done).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('upgraded, it names Bitcoin block 2, which was not checked'),
  });
  expect(alice.asked).toEqual([`GET /timestamp/${toHex(message)}`, `GET /timestamp/${toHex(message)}`]);
  expect(await readdir(folder)).toEqual(['document', 'document.ots', 'document.ots.bak']);
  expect(await readFile(`${file}.bak`)).toEqual(original);
  expect((await stat(file)).mode & 0o777).toBe(0o640);
  expect(await attestations()).toEqual(['pending', 'bitcoin']);

  const headers = [GENESIS, SECOND];
  headers.push(nextHeader(SECOND, block.root));
  for (let i = 0; i < 5; i++) headers.push(nextHeader(headers.at(-1) ?? SECOND, new Uint8Array(32).fill(i)));
  const node = await serveChain(headers, 'user:pass');
  servers.push(node);
  const bitcoin = ['--bitcoin', node.url.replace('//', '//user:pass@')];
  const proven = await run(['verify', content, file, ...bitcoin]);
  expect(proven).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(
      /^proven: existed before 2009-01-09T.* block 2 \(stamped 2009-01-09T.*, which can be 2 h off\)\n/,
    ),
  });
  expect(proven.stdout).toMatch(/✓ anchor .* \[bitcoin-node\]/);
  expect(proven.stdout).toMatch(/· anchor .* has accepted it/);

  // Complete as it is, nobody is asked again.
  expect(await upgrade('--calendar', alice.url)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('nothing new'),
  });
  expect(alice.asked).toHaveLength(2);
});

test('one calendar after the other: the second backup replaces the first', async () => {
  let knows = false;
  const slow = await calendar((request, response) => {
    const message = fromHex(String(request.url?.split('/').at(-1)));
    if (knows) response.end(toBlock(message, 9).answer);
    else response.writeHead(404).end();
  });
  const quick = await calendar((request, response) => {
    response.end(toBlock(fromHex(String(request.url?.split('/').at(-1))), 5).answer);
  });
  await pendingFile(quick.url, slow.url);
  const both = ['--calendar', quick.url, '--calendar', slow.url];
  const first = await upgrade(...both, '--json');
  expect(JSON.parse(first.stdout)).toEqual({
    file,
    changed: true,
    complete: true,
    backup: `${file}.bak`,
    calendars: expect.arrayContaining([
      { uri: quick.url, outcome: 'completed' },
      { uri: slow.url, outcome: 'pending' },
    ]),
  });
  const between = await readFile(file);
  knows = true;
  expect((await upgrade(...both)).code).toBe(0);
  expect(await readFile(`${file}.bak`)).toEqual(between);
  expect((await attestations()).sort()).toEqual(['bitcoin', 'bitcoin', 'pending', 'pending']);
});

test('a backup that is not of this file is never replaced', async () => {
  const quick = await calendar((request, response) => {
    response.end(toBlock(fromHex(String(request.url?.split('/').at(-1))), 5).answer);
  });
  await pendingFile(quick.url);
  const before = await readFile(file);
  const other = serializeOtsFile({
    hash: 'sha256',
    timestamp: new TimestampBuilder(sha256(CONTENT)).attest({ kind: 'bitcoin', height: 7 }).finish(),
  });
  for (const backup of [utf8('my notes'), other]) {
    await writeFile(`${file}.bak`, backup);
    const refused = await upgrade('--calendar', quick.url);
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('document.ots.bak exists and is not a backup of this file'),
    });
    expect(new Uint8Array(await readFile(`${file}.bak`))).toEqual(new Uint8Array(backup));
    expect(await readFile(file)).toEqual(before);
  }
  expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
});

test('a reader during the replacement sees the whole old or the whole new file', async () => {
  const versions = [1, 2].map((byte) => new Uint8Array(500_000).fill(byte));
  await writeFile(file, versions[0] ?? '');
  let writing = true;
  let reads = 0;
  const reading = (async () => {
    for (; writing; reads++) {
      const found = await readFile(file);
      expect([found.length, found[0], found.at(-1)]).toEqual([500_000, expect.any(Number), found[0]]);
    }
  })();
  for (let i = 0; i < 40; i++) await writeWhole(file, versions[i % 2] ?? '', true);
  writing = false;
  await reading;
  expect(reads).toBeGreaterThan(10);
});

test('with a symbolic link the target is completed, and the link stays', async () => {
  const quick = await calendar((request, response) => {
    response.end(toBlock(fromHex(String(request.url?.split('/').at(-1))), 5).answer);
  });
  await pendingFile(quick.url);
  const link = join(folder, 'link.ots');
  await symlink(file, link);
  expect((await run(['upgrade', link, '--calendar', quick.url])).code).toBe(0);
  expect(await attestations()).toEqual(['pending', 'bitcoin']);
  expect((await readdir(folder)).sort()).toEqual(['document', 'document.ots', 'document.ots.bak', 'link.ots']);
});

describe('a calendar that a file names', () => {
  test('is not asked, unless it is a well-known public calendar or was named by the user', async () => {
    const stranger = await calendar(bytes(new Uint8Array(1)));
    const friend = await calendar(bytes(new Uint8Array(0), 404));
    await pendingFile(stranger.url, `${friend.url}/`, `${friend.url}/elsewhere`);
    const { code, stderr } = await upgrade('--calendar', friend.url);
    expect(code).toBe(2);
    expect(stderr).toContain(`${stranger.url}: not asked`);
    expect(stderr).toContain(`${friend.url}/elsewhere: not asked`);
    expect(stranger.asked).toEqual([]);
    expect(friend.asked).toHaveLength(1);
  });

  test.each([
    ['https://alice.btc.calendar.opentimestamps.org', true],
    ['https://bob.btc.calendar.opentimestamps.org/', true],
    ['https://finney.calendar.eternitywall.com', true],
    ['https://btc.calendar.catallaxy.com', true],
    ['http://alice.btc.calendar.opentimestamps.org', false],
    ['https://alice.btc.calendar.opentimestamps.org:8443', false],
    ['https://alice.btc.calendar.opentimestamps.org/x', false],
    ['https://alice.btc.calendar.opentimestamps.org.example', false],
    ['https://evilcalendar.opentimestamps.org', false],
    ['https://calendar.opentimestamps.org', false],
    ['https://example/.calendar.opentimestamps.org', false],
    ['file:///etc/passwd', false],
    ['', false],
  ])('%s is a public calendar: %s', (uri, expected) => {
    expect(isPublicCalendar(uri)).toBe(expected);
  });
});

describe('a hostile calendar changes nothing', () => {
  const garbage = utf8('<html>not a timestamp</html>');
  const cases: [string, (message: Uint8Array, elsewhere: string) => Answer, string][] = [
    ['garbage', () => bytes(garbage), 'no timestamp of'],
    ['nothing', () => bytes(new Uint8Array(0)), 'no timestamp of'],
    ['11 kB', () => bytes(new Uint8Array(11_000)), 'more than 10000 bytes'],
    [
      'an endless answer',
      () => (_, response) => {
        const write = (): void =>
          void (response.destroyed || response.write(new Uint8Array(5_000), () => setImmediate(write)));
        write();
      },
      'more than 10000 bytes',
    ],
    [
      'a whole .ots file',
      (message) => bytes(concat(fromHex('004f70656e54696d657374616d7073'), message)),
      'no timestamp of',
    ],
    [
      'a timestamp and more',
      (message) => bytes(concat(toBlock(message, 5).answer, Uint8Array.of(0))),
      'no timestamp of',
    ],
    [
      'a redirect',
      (_, elsewhere) => (request, response) =>
        void response.writeHead(302, { location: `${elsewhere}${request.url}` }).end(),
      'redirect',
    ],
    ['an error', () => bytes(garbage, 500), 'status 500'],
    ['a cut connection', () => (_, response) => void response.destroy(), 'did not answer'],
    [
      'a way that is too long',
      (message) => {
        const builder = new TimestampBuilder(message);
        builder
          .follow(Array.from({ length: 254 }, () => ({ kind: 'sha256' as const })))
          .attest({ kind: 'bitcoin', height: 5 });
        return bytes(serializeTimestamp(builder.finish()));
      },
      'does not fit',
    ],
    [
      'the promise itself again',
      () => (request, response) => {
        const builder = new TimestampBuilder(fromHex(String(request.url?.split('/').at(-1))));
        builder.attest({ kind: 'pending', uri: `http://${request.headers.host}` });
        response.end(serializeTimestamp(builder.finish()));
      },
      'pending',
    ],
  ];

  test.each(cases)('%s', async (_, answer, says) => {
    const elsewhere = await calendar(bytes(new Uint8Array(0), 404));
    let given: Answer = () => {};
    const hostile = await calendar((request, response) => given(request, response));
    const good = await calendar(bytes(new Uint8Array(0), 404));
    const [message = new Uint8Array(0)] = await pendingFile(hostile.url, good.url);
    given = answer(message, elsewhere.url);
    const before = parseOtsFile(await readFile(file));
    const client = calendarClient({ timeout: 10_000 });
    const after = await complete(before, (uri) => [hostile.url, good.url, elsewhere.url].includes(uri), client);
    expect(after.file.timestamp).toBe(before.timestamp);
    expect(after.outcomes.map(({ uri }) => uri).sort()).toEqual([hostile.url, good.url].sort());
    const outcome = after.outcomes.find(({ uri }) => uri === hostile.url);
    expect(outcome?.detail ?? outcome?.outcome).toContain(says);
    expect([elsewhere.asked.length, good.asked.length]).toEqual([0, 1]);
  });

  test('a pending attestation of another host is kept, and that host is not asked', async () => {
    const elsewhere = await calendar(bytes(new Uint8Array(0), 404));
    const relaying = await calendar((request, response) => {
      const builder = new TimestampBuilder(fromHex(String(request.url?.split('/').at(-1))));
      builder.follow(way('elsewhere')).attest({ kind: 'pending', uri: elsewhere.url });
      response.end(serializeTimestamp(builder.finish()));
    });
    await pendingFile(relaying.url);
    const { code, stderr } = await upgrade('--calendar', relaying.url);
    expect([code, stderr]).toEqual([2, expect.stringContaining('added more, but no Bitcoin block yet')]);
    expect(await attestations()).toEqual(['pending', 'pending']);
    expect(elsewhere.asked).toEqual([]);
  });

  test('a false block is not accepted', async () => {
    const liar = await calendar((request, response) => {
      response.end(toBlock(fromHex(String(request.url?.split('/').at(-1))), FIRST + 1).answer);
    });
    await pendingFile(liar.url);
    expect((await upgrade('--calendar', liar.url)).code).toBe(0);
    const headers = Array.from({ length: 6 }, (_, i) => nextHeader(SECOND, new Uint8Array(32).fill(i)));
    const node = await serveChain([GENESIS, SECOND, ...headers], null, FIRST);
    servers.push(node);
    const verdict = await run(['verify', content, file, '--bitcoin', node.url]);
    expect(verdict).toMatchObject({ code: 1, stdout: expect.stringMatching(/^refuted: .*merkle root/) });
  });
});

test('files that are not upgraded', async () => {
  await pendingFile('https://calendar.example');
  for (const args of [
    ['upgrade', '-'],
    ['upgrade', file, '--wait', '5'],
    ['upgrade', content],
  ]) {
    const { code, stderr } = await run(args, { input: Buffer.from(await readFile(file)).toString('latin1') });
    expect([args, code, stderr]).toEqual([args, 1, expect.stringMatching(/^error: /)]);
  }
  await writeFile(file, (await readFile(file)).subarray(0, 60));
  expect(await upgrade()).toMatchObject({ code: 1, stderr: expect.stringMatching(/^error: byte 60: /) });
});

describe('verify', () => {
  const headers = [
    GENESIS,
    SECOND,
    ...Array.from({ length: 10 }, (_, i) => nextHeader(SECOND, new Uint8Array(32).fill(i))),
  ];
  const confirmed = async (): Promise<void> => {
    const { root, answer } = toBlock(sha256(CONTENT), FIRST + 3);
    headers[3] = nextHeader(SECOND, root);
    const head = serializeOtsFile({
      hash: 'sha256',
      timestamp: new TimestampBuilder(sha256(CONTENT)).attest({ kind: 'bitcoin', height: 1 }).finish(),
    });
    await writeFile(file, concat(head.subarray(0, 65), answer));
  };

  test('by an Esplora server, with sources that must agree, and as one JSON document', async () => {
    await confirmed();
    const node = await serveChain(headers, null, FIRST);
    const changed = headers.toSpliced(3, 1, nextHeader(SECOND, new Uint8Array(32).fill(77)));
    const other = await serveChain(changed, null, FIRST);
    const esplora = await serve(async (request, response) => {
      if (request.method === 'POST') return void response.writeHead(405).end();
      const answer = await fetch(`${node.url}${request.url}`);
      response.writeHead(answer.status).end(await answer.text());
    });
    servers.push(node, other, esplora);
    const api = `${esplora.url}/api`;
    const by = async (...urls: string[]): Promise<[number | null, unknown, unknown]> => {
      const flags = urls.flatMap((url) => ['--bitcoin', url]);
      const { code, stdout } = await run(['verify', content, file, ...flags, '--json']);
      const { result, claims } = JSON.parse(stdout);
      return [code, result, claims.at(-1).code];
    };
    expect(await by(api)).toEqual([0, 'proven', 'attestation-confirmed']);
    expect(await by(api, node.url)).toEqual([0, 'proven', 'attestation-confirmed']);
    expect(await by(node.url, other.url)).toEqual([2, 'unproven', 'source-failed']);
    expect(await by(other.url)).toEqual([1, 'refuted', 'attestation-differs']);
    expect(await by(node.url, 'http://127.0.0.1:1')).toEqual([2, 'unproven', 'source-failed']);
    expect(await by()).toEqual([2, 'unproven', 'bitcoin-source-missing']);
  });

  test('content by digest, on standard input, and of another kind; a wrong login could not run', async () => {
    await confirmed();
    const node = await serveChain(headers, 'user:pass', FIRST);
    servers.push(node);
    const bitcoin = ['--bitcoin', node.url.replace('//', '//user:pass@')];
    expect((await run(['verify', file, '--digest', toHex(sha256(CONTENT)), ...bitcoin])).code).toBe(0);
    expect((await run(['verify', file, '--line', 'what the file is about', ...bitcoin])).code).toBe(0);
    expect((await run(['verify', '-', file, ...bitcoin], { input: 'what the file is about' })).code).toBe(0);
    expect((await run(['verify', file, '--digest', 'ab'.repeat(20), ...bitcoin])).code).toBe(1);
    expect((await run(['verify', file, '--line', 'another', ...bitcoin])).code).toBe(1);
    const refused = await run(['verify', content, file, '--bitcoin', node.url]);
    expect([refused.code, refused.stderr]).toEqual([3, expect.stringContaining('does not accept no login')]);
    expect((await run(['verify', content, content])).code).toBe(3);
  });
});
