import { createHash, createPublicKey, verify as verifySignature } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { unpackPath, walkPath } from '../../src/core/path.ts';
import { parseReceipt, receiptPath } from '../../src/core/receipt.ts';
import { ANCHOR_ADDRESS } from '../../src/evm/anchor-contract.ts';
import { Notifications } from '../../src/store/notifications.ts';
import { type Answer, type TestService, testService } from '../support/service.ts';

let service: TestService;
let names = 0;

beforeAll(async () => {
  service = await testService();
});
afterAll(() => service[Symbol.asyncDispose]());

/** A log with entries that no round covers yet. */
async function newLog(entries = 3): Promise<string> {
  const name = `receipts-${names++}`;
  await service.send('PUT', `/v1/logs/${name}`);
  const body = Array.from({ length: entries }, (_, i) => `${name} ${i}`).join('\n');
  expect((await service.send('POST', `/v1/logs/${name}/entries?split=lines`, { body })).status).toBe(201);
  return name;
}

const receipt = (log: string, index: number, rest = ''): Promise<Answer> =>
  service.send('GET', `/v1/logs/${log}/entries/${index}/receipt${rest}`);

/** The verdict of the service itself. */
const verify = (body: object): Promise<Answer> => service.send('POST', '/v1/verify', { body });

async function timed<T>(work: () => Promise<T>): Promise<{ result: T; ms: number }> {
  const start = performance.now();
  return { result: await work(), ms: performance.now() - start };
}

describe('a receipt', () => {
  it('ends after the checkpoint before its round, and says when more is expected', async () => {
    const log = await newLog();
    const answer = await receipt(log, 1);
    expect(answer.status).toBe(200);
    const parsed = parseReceipt(answer.json);
    expect(Object.keys(parsed).sort()).toEqual(['checkpoint', 'entry', 'expectedBy', 'format', 'inclusion']);
    expect(Date.parse(String(answer.at('expectedBy')))).toBeGreaterThan(Date.now());
    const key = (await service.send('GET', `/v1/logs/${log}`)).at('verifierKey');
    const payload = Buffer.from(`${log} 1`).toString('base64');
    const verdict = await verify({ receipt: answer.json, payload, key });
    expect(verdict.json).toMatchObject({ result: 'unproven' });
    expect(verdict.text).toContain('"position-by-key"');
  });

  it('leads to the root of the round once that is closed', async () => {
    const log = await newLog();
    const round = await service.closeRound();
    await service.send('POST', `/v1/logs/${log}/entries`, { body: 'later' });
    for (const index of [0, 1, 2]) {
      const parsed = parseReceipt((await receipt(log, index)).json);
      if (!('round' in parsed)) throw new Error('no round');
      expect(parsed.round).toMatchObject({ number: round?.number, root: toHex(round?.root ?? new Uint8Array(0)) });
      expect(toHex(receiptPath(parsed).root)).toBe(parsed.round.root);
      expect(parsed.inclusion.treeSize).toBe(3);
    }
    expect((await receipt(log, 3)).at('round')).toBeUndefined();
  });

  it.each(['wait=61', 'wait=-1', 'wait=1.5', 'wait=', 'until=tomorrow', 'wait=1&wait=2', 'for=5'])(
    'is refused with ?%s',
    async (query) => {
      const log = await newLog(1);
      const answer = await receipt(log, 0, `?${query}`);
      expect([answer.status, answer.code]).toEqual([400, 'query-invalid']);
    },
  );
});

describe('waiting for a receipt', () => {
  it('ends with the time, with what there is', async () => {
    const log = await newLog();
    const { result, ms } = await timed(() => receipt(log, 0, '?wait=1&until=round'));
    expect([result.status, result.at('round')]).toEqual([200, undefined]);
    expect(ms).toBeGreaterThan(950);
  });

  it('ends after 55 s of the 60 that may be asked for: proxies give up at 60', async () => {
    let ahead = 0;
    await using other = await testService({ ahead: () => ahead });
    await other.send('PUT', '/v1/logs/long');
    await other.send('POST', '/v1/logs/long/entries', { body: 'x' });
    let answered = false;
    const waiting = other.send('GET', '/v1/logs/long/entries/0/receipt?wait=60&until=bitcoin').then((answer) => {
      answered = true;
      return answer;
    });
    await sleep(1_000);
    ahead = 40_000;
    await sleep(1_500);
    expect(answered).toBe(false);
    ahead = 55_000;
    const answer = await waiting;
    expect([answer.status, answer.at('round')]).toEqual([200, undefined]);
  });

  it('ends at the round it waits for, in any process', async () => {
    const log = await newLog();
    const waiting = timed(() => receipt(log, 0, '?wait=30&until=round'));
    await sleep(300);
    await service.closeRound();
    const { result, ms } = await waiting;
    expect(result.at('round', 'number')).toBeDefined();
    expect(ms).toBeLessThan(30_000);
  });

  it('does not begin where the stage is reached', async () => {
    const log = await newLog();
    await service.closeRound();
    expect((await timed(() => receipt(log, 0, '?wait=30&until=round'))).ms).toBeLessThan(30_000);
  });

  it('ends with the client', async () => {
    const log = await newLog();
    const looks = vi.spyOn(Notifications.prototype, 'next');
    const clients = Array.from({ length: 20 }, () => new AbortController());
    const requests = clients.map(({ signal }) =>
      service.send('GET', `/v1/logs/${log}/entries/0/receipt?wait=60&until=bitcoin`, { signal }),
    );
    await expect.poll(() => looks.mock.calls.length).toBeGreaterThanOrEqual(20);
    for (const client of clients) client.abort();
    for (const request of await Promise.allSettled(requests)) expect(request.status).toBe('rejected');
    // A minute was asked for, and the looks come once a second.
    const quiet = async (): Promise<number> => {
      const before = looks.mock.calls.length;
      await sleep(2_200);
      return looks.mock.calls.length - before;
    };
    await expect.poll(quiet).toBe(0);
  });

  it('ends when the service stops', async () => {
    await using other = await testService();
    await other.send('PUT', '/v1/logs/stopping');
    await other.send('POST', '/v1/logs/stopping/entries', { body: 'x' });
    const waiting = other.send('GET', '/v1/logs/stopping/entries/0/receipt?wait=60&until=bitcoin');
    await sleep(200);
    await other.stop();
    expect((await waiting).at('entry', 'index')).toBe(0);
  });
});

describe('receipt.path', () => {
  it('is a conflict before the round, and what the contract takes after it', async () => {
    const log = await newLog();
    const early = await service.send('GET', `/v1/logs/${log}/entries/2/receipt.path`);
    expect([early.status, early.code]).toEqual([409, 'receipt-pending']);
    const round = await service.closeRound();
    const { json, at } = await service.send('GET', `/v1/logs/${log}/entries/2/receipt.path`);
    expect(json).toEqual({
      digest: createHash('sha256').update(`${log} 2`).digest('hex'),
      path: expect.stringMatching(/^0x([0-9a-f]{2})+$/),
      root: toHex(round?.root ?? new Uint8Array(0)),
      contract: ANCHOR_ADDRESS,
      calldata: expect.stringMatching(/^0x[0-9a-f]+$/),
      stored: null,
    });
    const steps = unpackPath(fromHex(String(at('path')).slice(2)));
    expect(toHex(walkPath(fromHex(String(at('digest'))), steps))).toBe(at('root'));
    expect(at('calldata')).toContain(String(at('digest')));
  });
});

describe('receipt.tlog-proof', () => {
  const proof = (log: string, index: number): Promise<Answer> =>
    service.send('GET', `/v1/logs/${log}/entries/${index}/receipt.tlog-proof`);
  const sha256 = (...parts: Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest();

  it('is one that code written after the specification finds to hold, at every index', async () => {
    const log = await newLog(13);
    const key = String((await service.send('GET', `/v1/logs/${log}`)).at('verifierKey'))
      .split('+')
      .slice(2)
      .join('+');
    const spki = Buffer.concat([
      Buffer.from('302a300506032b6570032100', 'hex'),
      Buffer.from(key, 'base64').subarray(1),
    ]);
    for (let index = 0; index < 13; index++) {
      const { status, text, headers } = await proof(log, index);
      expect([status, headers.get('content-type')]).toEqual([200, 'text/plain; charset=utf-8']);
      const [first, extra = '', at, ...rest] = text.split('\n');
      expect([first, at]).toEqual(['c2sp.org/tlog-proof@v1', `index ${index}`]);
      const path = rest.slice(0, rest.indexOf('')).map((line) => Buffer.from(line, 'base64'));
      const [origin, size = '', root, blank, signature = ''] = rest.slice(path.length + 1);
      expect([origin, size, blank]).toEqual([`log.test/logs/${log}`, '13', '']);
      const body = Buffer.from(`${origin}\n${size}\n${root}\n`);
      const signed = Buffer.from(signature.split(' ')[2] ?? '', 'base64').subarray(4);
      expect(verifySignature(null, body, createPublicKey({ key: spki, format: 'der', type: 'spki' }), signed)).toBe(
        true,
      );
      const [entry, nonce] = [extra, extra].map((line) => Buffer.from(line.slice('extra '.length), 'base64'));
      const digest = sha256(Buffer.from(`${log} ${index}`));
      expect(entry?.subarray(41, 73)).toEqual(sha256(digest, nonce?.subarray(73) ?? Buffer.alloc(0)));
      let hash = sha256(Buffer.of(0), entry?.subarray(0, 73) ?? Buffer.alloc(0));
      // RFC 9162, section 2.1.3.2.
      for (let fn = index, sn = Number(size) - 1; sn > 0; fn >>= 1, sn >>= 1) {
        if (fn % 2 === 0 && fn === sn) continue;
        hash =
          fn % 2 === 1
            ? sha256(Buffer.of(1), path.shift() ?? hash, hash)
            : sha256(Buffer.of(1), hash, path.shift() ?? hash);
      }
      expect(path).toEqual([]);
      expect(hash.toString('base64')).toBe(root);
    }
  });

  it('has no time, so a round changes nothing; what is erased or not there has none', async () => {
    const log = await newLog();
    const before = await proof(log, 1);
    await service.closeRound();
    expect((await proof(log, 1)).text).toBe(before.text);
    await service.send('DELETE', `/v1/logs/${log}/entries/1/payload`);
    expect([(await proof(log, 1)).code, (await proof(log, 3)).code]).toEqual(['entry-erased', 'entry-not-found']);
    expect((await proof('nowhere', 0)).code).toBe('log-not-found');
  });
});

describe('rounds', () => {
  it('are listed newest first, page by page, and described with their leaves', async () => {
    for (let i = 0; i < 3; i++) {
      await newLog(1);
      await service.closeRound();
    }
    const first = await service.send('GET', '/v1/rounds?limit=2');
    const newest = Number(first.at('rounds', 0, 'number'));
    expect(first.at('rounds', 1, 'number')).toBe(newest - 1);
    expect(first.at('next')).toBe(newest - 1);
    const second = await service.send('GET', `/v1/rounds?limit=2&before=${newest - 1}`);
    expect(second.at('rounds', 0, 'number')).toBe(newest - 2);
    expect(second.at('rounds', 0, 'root')).toBe(first.at('rounds', 1, 'previousRoot'));
    expect((await service.send('GET', '/v1/rounds?before=1')).json).toEqual({ rounds: [] });
    expect((await service.send('GET', '/v1/rounds?before=2&limit=1')).at('next')).toBeUndefined();
    const one = await service.send('GET', `/v1/rounds/${newest}`);
    expect(one.json).toMatchObject({ number: newest, beacons: [], anchors: [], root: first.at('rounds', 0, 'root') });
    expect(one.at('leaves')).toHaveLength(Number(one.at('size')));
    expect(String(one.at('leaves', 0))).toMatch(/^80/);
    expect(String(one.at('leaves', 1))).toMatch(/^81/);
  });

  it.each([
    ['/v1/rounds/0', 404, 'round-not-found'],
    ['/v1/rounds/9007199254740991', 404, 'round-not-found'],
    ['/v1/rounds/9007199254740992', 400, 'path-invalid'],
    ['/v1/rounds/last', 400, 'path-invalid'],
    ['/v1/rounds?before=x', 400, 'query-invalid'],
    ['/v1/rounds?limit=0', 400, 'query-invalid'],
    ['/v1/rounds?after=1', 400, 'query-invalid'],
  ])('are not found at %s', async (path, status, code) => {
    const answer = await service.send('GET', path);
    expect([answer.status, answer.code]).toEqual([status, code]);
  });
});

describe('verify', () => {
  it('refutes another payload, and a receipt that breaks its format', async () => {
    const log = await newLog();
    const { json } = await receipt(log, 0);
    const other = await verify({ receipt: json, payload: Buffer.from('other').toString('base64') });
    expect([other.status, other.at('result')]).toEqual([200, 'refuted']);
    const digest = createHash('sha256').update(`${log} 0`).digest('hex');
    expect((await verify({ receipt: json, digest })).at('result')).toBe('unproven');
    expect((await verify({ receipt: { format: 'antequem-receipt/v1' } })).at('result')).toBe('refuted');
  });

  it.each<[string, object, string]>([
    ['no receipt', {}, 'verify-invalid'],
    ['another thing', { receipt: 'hello' }, 'receipt-invalid'],
    ['a field too many', { receipt: {}, rpc: 'http://127.0.0.1:1' }, 'verify-invalid'],
    ['a payload that is no base64', { receipt: {}, payload: '###' }, 'base64-invalid'],
    ['a digest that is none', { receipt: {}, digest: 'abc' }, 'digest-invalid'],
    ['numbers', { receipt: {}, digest: 5, payload: [] }, 'verify-invalid'],
    ['a list', [], 'verify-invalid'],
    ['a text that is no tlog-proof', { tlogProof: 'hello' }, 'verify-invalid'],
    ['two proofs', { receipt: {}, tlogProof: 'c2sp.org/tlog-proof@v1\n' }, 'verify-invalid'],
    ['a policy that is none', { receipt: {}, policy: 'quorum' }, 'verify-invalid'],
  ])('is refused with %s', async (_, body, code) => {
    const answer = await verify(body);
    expect([answer.status, answer.code]).toEqual([400, code]);
  });

  it('is refused with a key that is none', async () => {
    const { json } = await receipt(await newLog(1), 0);
    const answer = await verify({ receipt: json, key: 'nonsense' });
    expect([answer.status, answer.code]).toEqual([400, 'verifier-key']);
  });

  it.each([
    ['deep nesting', `{"receipt":${'{"a":'.repeat(200_000)}1${'}'.repeat(200_000)}}`, [400]],
    [
      'deep nesting within a format',
      `{"receipt":{"format":"antequem-receipt/v1","entry":${'['.repeat(200_000)}${']'.repeat(200_000)}}}`,
      [200],
    ],
    [
      'a long path',
      `{"receipt":{"format":"antequem-receipt/v1","inclusion":{"treeSize":1,"path":[${'0,'.repeat(400_000)}0]}}}`,
      [200],
    ],
    ['too long a body', `{"receipt":"${'x'.repeat(4 << 20)}"}`, [413]],
  ])('comes through %s', async (_, body, statuses) => {
    const result = await service.send('POST', '/v1/verify', { body });
    expect(statuses).toContain(result.status);
  });

  it('refuses a body in which an object has a member twice, and does not call it refuted', async () => {
    const body = '{"receipt":{"format":"antequem-receipt/v1","entry":{"index":0,"index":1}}}';
    const { status, code } = await service.send('POST', '/v1/verify', { body });
    expect([status, code]).toEqual([400, 'verify-invalid']);
  });
});
