// Receipts as .ots files: a calendar and a Bitcoin node of a chain of their own, and the Python library to read them.

import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LocalCalendar } from '../../scripts/local/calendar.ts';
import { addMissingAnchors } from '../../src/anchor/jobs.ts';
import { agreedSources } from '../../src/cli/bitcoin-sources.ts';
import { Client } from '../../src/client/client.ts';
import type { Config } from '../../src/config.ts';
import { parseHeader, REGTEST } from '../../src/core/bitcoin-header.ts';
import { concat, fromHex, toHex } from '../../src/core/bytes.ts';
import { knownAnchors, parseReceipt } from '../../src/core/receipt.ts';
import { parseOtsFile } from '../../src/ots/file.ts';
import { type Line, timestampLines } from '../../src/ots/line.ts';
import type { OtsTarget } from '../../src/ots/target.ts';
import { openCalendars } from '../../src/start/targets.ts';
import { verifyReceipt } from '../../src/verify/verify.ts';
import { run } from '../cli/command.ts';
import { Reference, referenceMissing } from '../ots/reference.ts';
import { silent } from '../support/anchoring.ts';
import type { TestBitcoin } from '../support/bitcoin.ts';
import { testBitcoin, testCalendar } from '../support/bitcoin.ts';
import { freePort } from '../support/free-port.ts';
import { type Answer, type TestService, testService } from '../support/service.ts';

let node: TestBitcoin;
let calendar: LocalCalendar;
let service: TestService;
let target: OtsTarget;
let folder: string;
let names = 0;

const stamping = (): Pick<Config, 'ots' | 'bitcoin'> => ({
  ots: {
    name: 'opentimestamps',
    calendars: [{ url: calendar.url, uris: [] }],
    minCalendars: 1,
    ephemeral: true,
  },
  bitcoin: { chain: REGTEST, rpcUrls: [node.rpcUrl], esploraUrls: [], cookieFile: null, confirmations: 1 },
});

beforeAll(async () => {
  node = await testBitcoin();
  calendar = await testCalendar(node, { depth: 6 });
  // Where it listens it knows only once it does, and a file must lead back there.
  const port = await freePort();
  const own = { uri: `http://127.0.0.1:${port}`, perMinute: 10_000 };
  service = await testService({ config: { ...stamping(), calendar: own, port } });
  const { ots, bitcoin } = service.config;
  if (ots === null) throw new Error('no calendars');
  const { database } = service.foundation;
  target = openCalendars(ots, bitcoin, { database, now: Date.now, logger: silent });
  await target.register();
  folder = await mkdtemp(join(tmpdir(), 'antequem-receipt-ots-'));
});
afterAll(async () => {
  target?.close();
  await service?.[Symbol.asyncDispose]();
  await calendar?.close();
  await node?.close();
  await rm(folder, { recursive: true });
});

const sha256 = (...parts: Uint8Array[]): Uint8Array =>
  Uint8Array.from(
    createHash('sha256')
      .update(concat(...parts))
      .digest(),
  );
const ots = (log: string, index = 0): Promise<Answer> =>
  service.send('GET', `/v1/logs/${log}/entries/${index}/receipt.ots`);
const linesOf = ({ bytes }: Answer): Line[] => [...timestampLines(parseOtsFile(new Uint8Array(bytes)).timestamp)];

/** A log of three entries, the first with this payload, whose round is not closed yet. */
async function newLog(): Promise<{ log: string; payload: string }> {
  const log = `stamped-${names++}`;
  const payload = `the first of ${log}`;
  await service.send('PUT', `/v1/logs/${log}`);
  for (const body of [payload, 'second', 'third']) await service.send('POST', `/v1/logs/${log}/entries`, { body });
  return { log, payload };
}

/** Closes the round, for which nobody was asked yet. @returns its number */
async function closeRound(): Promise<number> {
  const round = await service.closeRound();
  await addMissingAnchors(service.foundation.database, target.name, Date.now());
  return round?.number ?? 0;
}

/** The hash of the log's leaf in a round. */
async function leafHash(round: number, log: string): Promise<Uint8Array> {
  const id = sha256(Buffer.from(`${service.origin}/logs/${log}`));
  const leaves = (await service.send('GET', `/v1/rounds/${round}`)).at('leaves');
  if (!Array.isArray(leaves)) throw new Error('no leaves');
  const leaf = leaves
    .map((each) => fromHex(String(each)))
    .find((each) => Buffer.compare(each.subarray(1, 33), id) === 0);
  return sha256(Uint8Array.of(0), leaf ?? new Uint8Array(0));
}

async function upTo(round: number, status: string): Promise<void> {
  await expect
    .poll(
      async () => {
        await calendar.turn();
        await target.advance([round]);
        return (await service.send('GET', `/v1/rounds/${round}`)).at('anchors', 0, 'status');
      },
      { timeout: 120_000, interval: 300 },
    )
    .toBe(status);
}

describe('receipt.ots', () => {
  it('is a conflict before the round has closed', async () => {
    const { log } = await newLog();
    const { status, code } = await ots(log);
    expect([status, code]).toEqual([409, 'receipt-pending']);
    await closeRound();
  });

  it('bears our own promise at the leaf of the round, then those of the calendars, then the block', async () => {
    const { log, payload } = await newLog();
    const round = await closeRound();
    const digest = sha256(Buffer.from(payload));

    const first = await ots(log);
    expect(first.status).toBe(200);
    expect(first.headers.get('content-type')).toBe('application/vnd.opentimestamps.ots');
    expect(first.headers.get('content-disposition')).toBe(`attachment; filename=${log}-0.regtest.ots`);
    const file = parseOtsFile(new Uint8Array(first.bytes));
    expect([file.hash, toHex(file.timestamp.message)]).toEqual(['sha256', toHex(digest)]);
    const leaf = await leafHash(round, log);
    const [promise, ...more] = linesOf(first);
    expect(more).toEqual([]);
    expect(promise).toMatchObject({ message: leaf, attestation: { kind: 'pending', uri: service.url } });
    expect((await service.send('GET', `/timestamp/${toHex(leaf)}`)).text).toMatch(/^Pending/);

    await target.advance([round]);
    await expect
      .poll(async () => linesOf(await ots(log)).map(({ attestation }) => attestation))
      .toEqual([{ kind: 'pending', uri: calendar.url }]);
    const second = await ots(log);

    await upTo(round, 'finalized');
    await expect
      .poll(async () => linesOf(await ots(log)).map(({ attestation }) => attestation.kind))
      .toEqual(['bitcoin']);
    const third = await ots(log);
    const [line] = linesOf(third);
    if (line?.attestation.kind !== 'bitcoin') throw new Error('not confirmed');
    const { height } = line.attestation;
    expect(line.message).toEqual(parseHeader(await node.header(height)).merkleRoot);
    for (const answer of [first, second, third]) {
      for (const { ops } of linesOf(answer)) {
        expect(ops.length).toBeLessThan(256);
        expect(new Set(ops.map(({ kind }) => kind))).toEqual(new Set(['append', 'prepend', 'sha256']));
      }
    }

    // What was fetched early is completed by this service, as by any calendar.
    const early = join(folder, 'early.ots');
    const content = join(folder, 'content');
    await Promise.all([writeFile(early, first.bytes), writeFile(content, payload)]);
    const upgraded = await run(['upgrade', early, '--calendar', service.url]);
    expect(upgraded).toMatchObject({ code: 0, stdout: expect.stringContaining(`Bitcoin block ${height}`) });
    expect(await readFile(`${early}.bak`)).toEqual(first.bytes);

    while (node.height < height + 5) await node.mine();
    const proven = await run(['verify', content, early, '--bitcoin', node.rpcUrl, '--json']);
    expect([proven.code, JSON.parse(proven.stdout)]).toMatchObject([
      0,
      { result: 'proven', existedBefore: { chain: REGTEST, block: { number: height } } },
    ]);
    const fetched = join(folder, 'fetched.ots');
    const receipt = await run(['receipt', log, '0', '-o', fetched, '--until', 'bitcoin', '--url', service.url]);
    expect(receipt).toMatchObject({ code: 0, stderr: expect.stringContaining('anchored to Bitcoin') });
    expect(await readFile(fetched)).toEqual(third.bytes);
  });

  it.skipIf(referenceMissing !== null)(
    'ends in the merkle root of the header, read by the Python library alone',
    async () => {
      const { log, payload } = await newLog();
      const round = await closeRound();
      using reference = new Reference();
      const read = async (): Promise<string[]> => {
        const { bytes } = await ots(log);
        const [reading] = await reference.read([new Uint8Array(bytes)]);
        // Written again by the library, it is the same file.
        expect(reading?.bytes).toBe(bytes.toString('hex'));
        const { hash, digest, attestations = [] } = reading?.meaning ?? {};
        expect([hash, digest]).toEqual(['sha256', createHash('sha256').update(payload).digest('hex')]);
        return attestations;
      };
      expect(await read()).toEqual([`${toHex(await leafHash(round, log))} pending ${service.url}`]);
      await upTo(round, 'finalized');
      await expect.poll(async () => (await read()).length).toBe(1);
      await expect.poll(async () => (await read())[0]).toMatch(/ bitcoin \d+$/);
      const [attestation = ''] = await read();
      const [message, , height] = attestation.split(' ');
      expect(message).toBe(toHex(parseHeader(await node.header(Number(height))).merkleRoot));
    },
  );

  it('is read by the client, for a digest as for a payload', async () => {
    const log = `stamped-${names++}`;
    const digest = createHash('sha256').update('kept at home').digest('hex');
    await service.send('PUT', `/v1/logs/${log}`);
    await service.send('POST', `/v1/logs/${log}/digests`, { body: { digests: [digest] } });
    await closeRound();
    const bytes = await new Client({ url: service.url }).receiptOts(log, 0);
    expect(toHex(parseOtsFile(bytes).timestamp.message)).toBe(digest);
    await expect(new Client({ url: service.url }).receiptOts(log, 1)).rejects.toMatchObject({
      code: 'entry-not-found',
    });
  });

  it('and the JSON receipt prove the same by the node, and by the block hash alone', async () => {
    const { log, payload } = await newLog();
    const round = await closeRound();
    await upTo(round, 'finalized');
    const path = `/v1/logs/${log}/entries/0/receipt?wait=20&until=bitcoin`;
    const { json } = await service.send('GET', path);
    const receipt = parseReceipt(json);
    const [anchor] = knownAnchors(receipt);
    if (anchor?.type !== 'opentimestamps' || anchor.status !== 'confirmed') throw new Error('not confirmed');
    const [block] = anchor.blocks;
    if (block === undefined) throw new Error('no block');
    expect(block).toMatchObject({ chain: REGTEST, header: toHex(await node.header(block.height)) });
    while (node.height < block.height + 5) await node.mine();
    const { hash } = parseHeader(fromHex(block.header));
    const digest = sha256(Buffer.from(payload));
    const existedBefore = { time: block.time, chain: REGTEST, block: { number: block.height, hash } };
    for (const [trust, grounds] of [
      [{ bitcoin: await agreedSources([node.rpcUrl], expect.fail) }, 'bitcoin-node'],
      [{ blockHashes: [hash] }, 'block-hash'],
    ] as const) {
      const verdict = await verifyReceipt({ receipt: json, digest }, trust);
      expect(verdict).toMatchObject({ result: 'proven', existedBefore });
      expect(verdict.claims.at(-1)).toMatchObject({ claim: 'anchor', grounds });
    }
    for (const trust of [{}, { blockHashes: ['ab'.repeat(32)] }]) {
      expect((await verifyReceipt({ receipt: json, digest }, trust)).result).toBe('unproven');
    }
    const file = join(folder, 'receipt.json');
    await writeFile(file, JSON.stringify(json));
    const proven = await run(['verify', file, '--line', payload, '--block-hash', hash]);
    expect([proven.code, proven.stdout]).toEqual([0, expect.stringContaining('[block-hash]')]);
    const upgraded = await run(['upgrade', file, '--url', service.url]);
    expect(upgraded).toMatchObject({ code: 0, stdout: expect.stringContaining('anchored to Bitcoin') });

    // The service says the same of both by its own node.
    const { bytes } = await ots(log);
    for (const proof of [{ receipt: json }, { ots: bytes.toString('base64') }]) {
      const body = { ...proof, payload: Buffer.from(payload).toString('base64') };
      expect((await service.send('POST', '/v1/verify', { body })).json).toMatchObject({
        result: 'proven',
        existedBefore,
      });
      const other = { ...proof, digest: 'ab'.repeat(32) };
      expect((await service.send('POST', '/v1/verify', { body: other })).at('result')).toBe('refuted');
    }
    const refused = [
      { ots: '!!' },
      { ots: 'AAAA' },
      { ots: 'AAAA', receipt: json },
      { ots: bytes.toString('base64'), digest: 'a' },
    ];
    const codes = refused.map(async (body) => (await service.send('POST', '/v1/verify', { body })).code);
    expect(await Promise.all(codes)).toEqual(['base64-invalid', 'verify-invalid', 'verify-invalid', 'digest-invalid']);
  });

  it('asks for a key that may read the log', async () => {
    await using closed = await testService({ open: false });
    const path = '/v1/logs/any/entries/0/receipt.ots';
    expect((await closed.send('GET', path)).code).toBe('unauthorized');
    const { token } = await closed.key(['append'], ['any']);
    expect((await closed.send('GET', path, { token })).code).toBe('forbidden');
  });

  it('is not there where no calendars stamp, and pending where none has answered and we are none', async () => {
    for (const [config, status, code] of [
      [{}, 404, 'timestamp-absent'],
      [stamping(), 409, 'receipt-pending'],
    ] as const) {
      await using other = await testService({ config });
      await other.send('PUT', '/v1/logs/plain');
      await other.send('POST', '/v1/logs/plain/entries', { body: 'x' });
      await other.closeRound();
      const answer = await other.send('GET', '/v1/logs/plain/entries/0/receipt.ots');
      expect([answer.status, answer.code]).toEqual([status, code]);
    }
  });
});
