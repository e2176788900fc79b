// Sources of headers, over HTTP servers of their kinds.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agreeing, esploraSource, nodeSource, openSource } from '../../src/bitcoin/header-sources.ts';
import { BITCOIN, bitcoinChain, parseHeader } from '../../src/core/bitcoin-header.ts';
import type { HeaderSource } from '../../src/core/bitcoin-source.ts';
import { toHex } from '../../src/core/bytes.ts';
import { AntequemError } from '../../src/core/errors.ts';
import { type ChainServer, GENESIS, nextHeader, SECOND, serve, serveChain, wrongWayRound } from './chain-server.ts';

const THIRD = nextHeader(SECOND, new Uint8Array(32).fill(3));
const OTHER = nextHeader(SECOND, new Uint8Array(32).fill(4));
const CHAIN = [GENESIS, SECOND, THIRD];
const code = (value: string): unknown => expect.objectContaining({ name: 'AntequemError', code: value });

type Make = (server: ChainServer, chain?: string) => HeaderSource;
const kinds: [string, string, Make][] = [
  ['a node', 'bitcoin-node', ({ url }, chain = BITCOIN) => nodeSource(url, chain, { timeout: 500 })],
  ['Esplora', 'esplora', ({ url }, chain = BITCOIN) => esploraSource(`${url}/api`, chain, { timeout: 500 })],
];

describe.each(kinds)('%s', (_, grounds, source) => {
  test('headers by height, the newest, and none beyond', async () => {
    await using server = await serveChain(CHAIN);
    const at = source(server);
    expect(at).toMatchObject({ grounds, chain: BITCOIN });
    expect(at.describe()).toContain(server.host);
    expect(await at.height()).toBe(2);
    for (const [height, header] of CHAIN.entries()) {
      const found = await at.header(height);
      expect(found?.hash).toBe(parseHeader(header).hash);
      expect(toHex(found?.header ?? new Uint8Array(0))).toBe(toHex(header));
    }
    for (const height of [3, 2 ** 31, 2 ** 53, -1, 0.5]) expect(await at.header(height)).toBeNull();
  });

  test('is opened by asking which it is, for the chain it follows', async () => {
    await using server = await serveChain(CHAIN);
    const at = await openSource(grounds === 'esplora' ? `${server.url}/api/` : server.url);
    // The server speaks JSON-RPC wherever it is asked to.
    expect(at).toMatchObject({ grounds: 'bitcoin-node', chain: BITCOIN });
    expect(await at.height()).toBe(2);
  });

  test('sees a reorganisation', async () => {
    const headers = [...CHAIN];
    await using server = await serveChain(headers);
    const at = source(server);
    expect((await at.header(2))?.hash).toBe(parseHeader(THIRD).hash);
    headers[2] = OTHER;
    expect((await at.header(2))?.hash).toBe(parseHeader(OTHER).hash);
    headers.length = 2;
    expect(await at.header(2)).toBeNull();
  });

  test('never answers for another chain', async () => {
    await using server = await serveChain(CHAIN);
    const regtest = 'bip122:0f9188f13cb7b2c71f2a335e3a4fc328';
    for (const question of [source(server, regtest).header(1), source(server, regtest).height()]) {
      await expect(question).rejects.toThrow(code('bitcoin-chain'));
    }
    await using other = await serveChain([OTHER]);
    await expect(source(other).height()).rejects.toThrow(bitcoinChain(parseHeader(OTHER).hash));
  });

  test('a header must have the hash it goes by', async () => {
    const liar = async (headerText: (hash: string) => string): Promise<unknown> => {
      await using server = await serve(async (request, response) => {
        let body = '';
        for await (const chunk of request) body += String(chunk);
        const asksHeader = /header/.test(request.method === 'POST' ? JSON.parse(body).method : (request.url ?? ''));
        const height = /0\b/.test(request.method === 'POST' ? String(JSON.parse(body).params[0]) : (request.url ?? ''));
        const hash = parseHeader(height ? GENESIS : SECOND).hash;
        const result = asksHeader ? headerText(hash) : hash;
        response.end(request.method === 'POST' ? JSON.stringify({ result }) : result);
      });
      return await source(server).header(1);
    };
    expect(await liar(() => toHex(SECOND))).toMatchObject({ hash: parseHeader(SECOND).hash });
    await expect(liar(() => toHex(GENESIS))).rejects.toThrow(code('bitcoin-answer'));
    await expect(liar(() => wrongWayRound(SECOND).repeat(3).slice(0, 160))).rejects.toThrow(code('bitcoin-answer'));
  });

  test.each<[string, Parameters<typeof serve>[0], string]>([
    ['silence', () => {}, 'it took too long'],
    ['a body that does not end', (_, response) => void response.write('{'), 'it took too long'],
    ['a cut connection', (_, response) => void response.destroy(), 'UND_ERR_SOCKET'],
    ['much too much', (_, response) => void response.end('0'.repeat(20_000)), 'more than 16384 bytes'],
    ['a page', (_, response) => void response.end('<html>'), 'did not answer'],
    ['an error', (_, response) => void response.writeHead(503).end('busy'), 'status 503'],
    ['null', (_, response) => void response.end('null'), 'did not answer'],
    ['nothing', (_, response) => void response.end(), 'did not answer'],
  ])('%s: an error that says so, and it is asked again', async (_, answer, says) => {
    await using server = await serve(answer);
    const at = source(server);
    for (const question of [at.header(1), at.height()]) {
      const error = await question.catch((reason: unknown) => reason);
      expect(error).toEqual(code('bitcoin-failed'));
      expect(String(error)).toContain(says);
      expect(String(error)).toContain(server.host);
    }
    expect(server.asked.length).toBeGreaterThan(0);
    const asked = server.asked.length;
    await at.height().catch(() => {});
    expect(server.asked.length).toBeGreaterThan(asked);
  });

  test('redirects are not followed', async () => {
    await using target = await serveChain(CHAIN);
    await using server = await serve((_, response) => void response.writeHead(307, { location: target.url }).end());
    await expect(source(server).height()).rejects.toThrow(/redirect/);
    expect(target.asked).toEqual([]);
  });

  test('nobody there', async () => {
    const server = await serveChain(CHAIN);
    await server[Symbol.asyncDispose]();
    await expect(source(server).height()).rejects.toThrow('ECONNREFUSED');
  });
});

test('Esplora is told from a node', async () => {
  await using chain = await serveChain(CHAIN);
  await using server = await serve(async (request, response) => {
    if (request.method === 'POST') return void response.writeHead(405).end();
    const answer = await fetch(`${chain.url}${request.url}`);
    response.writeHead(answer.status).end(await answer.text());
  });
  const at = await openSource(`${server.url}/api`);
  expect(at).toMatchObject({ grounds: 'esplora', chain: BITCOIN });
  expect((await at.header(1))?.hash).toBe(parseHeader(SECOND).hash);
  await expect(openSource(server.url)).rejects.toThrow(code('bitcoin-failed'));
});

describe('logins', () => {
  const SECRET = 'h@/:%cret';
  let folder: string;
  let server: ChainServer;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'antequem-cookie-'));
    server = await serveChain(CHAIN, `user:${SECRET}`);
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });
  const withLogin = (password: string): string =>
    `http://user:${encodeURIComponent(password)}@${server.host}/${encodeURIComponent(SECRET)}?key=${SECRET}`;

  test('from the URL', async () => {
    const at = await openSource(withLogin(SECRET));
    expect(await at.height()).toBe(2);
    expect(at.describe()).toBe(`the Bitcoin node at ${server.host}`);
  });

  test('from a cookie file, which changes when the node starts again', async () => {
    const cookieFile = join(folder, '.cookie');
    await writeFile(cookieFile, 'user:stale\n');
    const at = nodeSource(server.url, BITCOIN, { cookieFile });
    await expect(at.height()).rejects.toThrow(code('bitcoin-login'));
    await writeFile(cookieFile, `user:${SECRET}\n`);
    expect(await at.height()).toBe(2);
    await rm(cookieFile);
    await expect(at.height()).rejects.toThrow(code('bitcoin-login'));
  });

  test('refused: never shown, and never tried elsewhere', async () => {
    const before = server.asked.length;
    const failures = [
      await openSource(withLogin(`${SECRET}x`)).catch((error: unknown) => error),
      await openSource(server.url).catch((error: unknown) => error),
      await nodeSource(withLogin(`${SECRET}x`), BITCOIN)
        .height()
        .catch((error: unknown) => error),
    ];
    for (const failure of failures) {
      expect(failure).toEqual(code('bitcoin-login'));
      if (!(failure instanceof AntequemError)) throw failure;
      expect(`${failure.stack} ${failure.cause}`).not.toMatch(/cret/);
    }
    expect(server.asked.slice(before).every((each) => each.startsWith('POST'))).toBe(true);
  });

  test('a dead host or a URL of another kind says nothing of them either', async () => {
    const dead = withLogin(SECRET).replace(server.host, '127.0.0.1:1');
    const failure = await openSource(dead).catch((error: unknown) => error);
    expect(String(failure)).toContain('127.0.0.1:1');
    expect(String(failure)).not.toMatch(/cret/);
    for (const url of ['ftp://user:cret@a', 'user:cret@host', 'http://', 'http://user:%cret@a', 'cret']) {
      const refused = await openSource(url).catch((error: unknown) => error);
      expect(refused).toMatchObject({ name: 'FormatError', code: 'bitcoin-url' });
      expect(String(refused)).not.toMatch(/cret/);
    }
  });
});

describe('several sources', () => {
  const both = async (
    first: readonly Uint8Array[],
    second: readonly Uint8Array[],
    check: (at: HeaderSource) => Promise<void>,
  ): Promise<void> => {
    await using node = await serveChain(first);
    await using esplora = await serveChain(second);
    await check(agreeing([nodeSource(node.url, BITCOIN), esploraSource(`${esplora.url}/api`, BITCOIN)]));
  };

  test('that agree are as good as one', () =>
    both(CHAIN, CHAIN, async (at) => {
      expect(at).toMatchObject({ grounds: 'bitcoin-node', chain: BITCOIN });
      expect(at.describe()).toMatch(/^the Bitcoin node at 127.0.0.1:\d+ and the Esplora server at 127.0.0.1:\d+$/);
      expect(await at.height()).toBe(2);
      expect((await at.header(2))?.hash).toBe(parseHeader(THIRD).hash);
      expect(await at.header(3)).toBeNull();
    }));

  test('what one does not have yet is not there yet', () =>
    both(CHAIN, CHAIN.slice(0, 2), async (at) => {
      expect(await at.height()).toBe(1);
      expect(await at.header(2)).toBeNull();
      expect((await at.header(1))?.hash).toBe(parseHeader(SECOND).hash);
    }));

  test('that differ prove nothing', () =>
    both(CHAIN, [GENESIS, SECOND, OTHER], async (at) => {
      await expect(at.header(2)).rejects.toThrow(code('bitcoin-disagreement'));
      expect((await at.header(1))?.hash).toBe(parseHeader(SECOND).hash);
    }));

  test('one of which is silent, or follows another chain, give no answer', async () => {
    await using node = await serveChain(CHAIN);
    await using elsewhere = await serveChain([OTHER]);
    const good = nodeSource(node.url, BITCOIN);
    const dead = esploraSource('http://127.0.0.1:1', BITCOIN);
    await expect(agreeing([good, dead]).header(1)).rejects.toThrow(code('bitcoin-failed'));
    await expect(agreeing([good, dead]).height()).rejects.toThrow(code('bitcoin-failed'));
    await expect(agreeing([good, nodeSource(elsewhere.url, BITCOIN)]).header(0)).rejects.toThrow(code('bitcoin-chain'));
    expect(() => agreeing([good, nodeSource(elsewhere.url, 'bip122:00')])).toThrow(code('bitcoin-chain'));
  });

  test('one is enough, none is not', async () => {
    const one = nodeSource('http://127.0.0.1:1', BITCOIN);
    expect(agreeing([one])).toBe(one);
    expect(() => agreeing([])).toThrow(code('bitcoin-source-missing'));
  });
});
