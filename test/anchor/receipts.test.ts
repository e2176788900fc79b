import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { toHex, utf8 } from '../../src/core/bytes.ts';
import { parseCheckpoint } from '../../src/core/checkpoint.ts';
import { consistencyRanges } from '../../src/core/merkle.ts';
import { parseNote } from '../../src/core/note.ts';
import { parseReceipt, parseReceiptText, type Receipt, receiptPath } from '../../src/core/receipt.ts';
import { mergeReceipt } from '../../src/core/receipt-merge.ts';
import type { Beacon } from '../../src/core/round.ts';
import { parseTime } from '../../src/core/time.ts';
import type { Log } from '../../src/log/log.ts';
import { verifyReceipt } from '../../src/verify/verify.ts';
import { drafts, type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { eraseInBlock } from '../support/stored-entries.ts';

let server: TestDatabase;
let one: Instance;
let two: Instance;

beforeAll(async () => {
  server = await testDatabase();
  [one, two] = [await openInstance(server.url), await openInstance(server.url)];
});

afterAll(async () => {
  await Promise.all([one?.end(), two?.end()]);
  await server?.drop();
});

/** The status of each claim of the verdict, by the log's true key. */
async function verdict(log: Log, receipt: Receipt, payload: string): Promise<Record<string, string>> {
  const { verifierKey: key } = await one.registry.signer(log);
  const sent: unknown = JSON.parse(JSON.stringify(receipt));
  expect(parseReceipt(sent)).toEqual(receipt);
  const { result, claims } = await verifyReceipt({ receipt: sent, payload: utf8(payload) }, { key });
  expect(result).toBe('unproven');
  return Object.fromEntries(claims.map(({ claim, status }) => [claim, status]));
}

const hashes: Beacon[] = [
  { chain: 'eip155:1', height: 10, hash: sha256(utf8('eth')) },
  { chain: 'bip122:000000000019d6689c085ae165831e93', height: 20, hash: sha256(utf8('btc')) },
];

test('before its round closes it ends after the checkpoint; afterwards it leads to the root of the round', async () => {
  for (const blinded of [true, false]) {
    const log = await one.makeLog(blinded ? 'blinded' : 'open', blinded);
    await one.append(log, 'zero', 'one', 'two');
    const pending = await two.receipts.compose(log, 1);
    expect(pending).not.toHaveProperty('round');
    expect(pending).not.toHaveProperty('anchors');
    expect(pending.inclusion.treeSize).toBe(3);
    expect(pending.entry.nonce).toHaveLength(blinded ? 32 : 0);
    const claims = await verdict(log, pending, 'one');
    expect(claims).toMatchObject({ content: 'verified', position: 'verified', checkpoint: 'verified' });
    expect(() => receiptPath(pending)).toThrow(expect.objectContaining({ code: 'receipt-pending' }));

    await one.append(log, 'three', 'four');
    const round = await one.closeRound({ beacons: async () => hashes });
    await one.append(log, 'five');
    for (const [index, text] of ['zero', 'one', 'two', 'three', 'four'].entries()) {
      const receipt = await two.receipts.compose(log, index);
      if (!('round' in receipt)) throw new Error('no round in the receipt');
      expect(receipt.round.number).toBe(round?.number);
      expect(receipt.inclusion.treeSize).toBe(5);
      expect(receipt.anchors).toEqual([]);
      expect(receipt.round.link.beacons.map(({ hash }) => hash.slice(0, 2) === '0x')).toEqual([true, false]);
      expect(await verdict(log, receipt, text)).toMatchObject({
        content: 'verified',
        position: 'verified',
        checkpoint: 'verified',
        round: 'verified',
      });
      expect(toHex(receiptPath(receipt).root)).toBe(receipt.round.root);
      expect(parseTime(receipt.round.closedAt)).toBeGreaterThanOrEqual(parseTime(receipt.entry.receivedAt));
      expect(parseReceiptText(JSON.stringify(receipt))).toEqual(receipt);
    }
    expect(await two.receipts.compose(log, 5)).not.toHaveProperty('round');
    const path = await two.tiles.ranges(log, consistencyRanges(3, 5), 5);
    const merged = mergeReceipt(pending, await two.receipts.compose(log, 1), { path: path.map(toHex) });
    expect(merged).toMatchObject({ equivocation: null, receipt: { round: { number: round?.number } } });
  }
});

test('each entry keeps the round that first covered it, in a log of more than a tile', async () => {
  const log = await one.makeLog('long');
  const sizes = [1, 255, 256, 257, 700];
  const rounds: number[] = [];
  for (let size = 0; rounds.length < sizes.length; ) {
    const to = sizes[rounds.length] ?? 0;
    await one.appender.append(log, { drafts: drafts(to - size, `to ${to}`), idempotency: null });
    rounds.push((await one.closeRound())?.number ?? 0);
    size = to;
  }
  for (const index of [0, 1, 100, 254, 255, 256, 257, 511, 512, 699]) {
    const nth = sizes.findIndex((size) => size > index);
    const receipt = await two.receipts.compose(log, index);
    expect(receipt).toMatchObject({ inclusion: { treeSize: sizes[nth] }, round: { number: rounds[nth] } });
    const text = `to ${sizes[nth]} ${index - (sizes[nth - 1] ?? 0)}`;
    expect(await verdict(log, receipt, text)).toMatchObject({ content: 'verified', round: 'verified' });
    expect(parseCheckpoint(parseNote(receipt.checkpoint).text).size).toBe(sizes[nth]);
  }
});

test('the acts of the service have receipts too', async () => {
  const { system } = one.registry;
  await one.append(await one.makeLog('any'), 'a');
  await one.closeRound();
  const payload = Buffer.from((await one.entries.payload(system, 0)) ?? '').toString();
  expect(await verdict(system, await one.receipts.compose(system, 0), payload)).toMatchObject({ round: 'verified' });
});

describe('no receipt', () => {
  test('of an entry that is not there', async () => {
    const log = await one.makeLog('short');
    await expect(one.receipts.compose(log, 0)).rejects.toMatchObject({ code: 'entry-not-found' });
    await one.append(log, 'a');
    await expect(one.receipts.compose(log, 1)).rejects.toMatchObject({ code: 'entry-not-found' });
  });

  test('of an entry that was erased; its neighbours keep theirs', async () => {
    const log = await one.makeLog('erased');
    await one.append(log, 'a', 'secret', 'c');
    await eraseInBlock(one.database, log.id, 1);
    await one.closeRound();
    await expect(two.receipts.compose(log, 1)).rejects.toMatchObject({ code: 'entry-erased' });
    for (const [index, text] of [
      [0, 'a'],
      [2, 'c'],
    ] as const) {
      expect(await verdict(log, await two.receipts.compose(log, index), text)).toMatchObject({ round: 'verified' });
    }
  });

  test('from a round whose leaves or checkpoint were taken away', async () => {
    const log = await one.makeLog('damaged');
    await one.append(log, 'a');
    const round = await one.closeRound();
    const { checkpoint } = await two.receipts.compose(log, 0);
    await one.database.query('ALTER TABLE checkpoints DISABLE TRIGGER USER');
    await one.database.query('DELETE FROM checkpoints WHERE log = $1', [log.id]);
    expect((await two.receipts.compose(log, 0)).checkpoint).toBe(checkpoint);
    await one.database.query('ALTER TABLE rounds DISABLE TRIGGER USER');
    await one.database.query(`UPDATE rounds SET link_beacons = '\\x05' WHERE number = $1`, [round?.number]);
    const fresh = await openInstance(server.url);
    await expect(fresh.receipts.compose(log, 0)).rejects.toMatchObject({ code: 'round-damaged' });
    await fresh.end();
  });
});

test('asked for while rounds close, each is whole', async () => {
  const log = await one.makeLog('busy');
  let closing = true;
  const closer = (async () => {
    while (closing) await one.closeRound();
  })();
  for (let i = 0; i < 25; i++) {
    const { index } = await one.append(log, `${i}`);
    const receipts = await Promise.all([two.receipts.compose(log, index), one.receipts.compose(log, index >> 1)]);
    for (const receipt of receipts) {
      expect(await verdict(log, receipt, `${receipt.entry.index}`)).toMatchObject({ position: 'verified' });
    }
  }
  closing = false;
  await closer;
});
