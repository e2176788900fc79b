import { expect, it } from 'vitest';
import { ReceiptSeries, type ReceiptText } from '../../src/anchor/receipt-series.ts';
import { Receipts } from '../../src/anchor/receipts.ts';
import type { Anchor } from '../../src/core/receipt.ts';
import { TextWriter } from '../../src/core/text-writer.ts';
import { eraseEntry } from '../../src/log/erase.ts';
import { drafts, openInstance } from '../support/instance.ts';
import { testDatabase } from '../support/postgres.ts';

const anchors = async (round: number): Promise<Anchor[]> => [
  { type: 'opentimestamps', status: 'pending', timestamp: Buffer.from(`round ${round}`).toString('base64') },
];

const storedPath = async (round: number) =>
  round % 2 === 0 ? undefined : { chain: 'eip155:1', round: round + 1, path: '0x00' };

function written(write: ReceiptText): string {
  const out = new TextWriter(100);
  write(out);
  return Buffer.from(out.written()).toString();
}

it.each([true, false])('receipts of many entries are those that are made one by one (blinded: %s)', async (blinded) => {
  const server = await testDatabase();
  const instance = await openInstance(server.url);
  try {
    const { database, tiles, trees, publisher, entries, registry, sequencing } = instance;
    const log = await instance.makeLog('many', blinded);
    const other = await instance.makeLog('other', blinded);
    // Rounds that end at a tile, within one, and after a single entry.
    for (const count of [512, 1, 200, 300]) {
      await instance.appender.append(log, { drafts: drafts(count, `${count}`), idempotency: null });
      await instance.append(other, 'so that the round has more leaves');
      await instance.closeRound();
    }
    await instance.appender.append(log, { drafts: drafts(40, 'in no round'), idempotency: null });
    await eraseEntry(database, registry.system, sequencing, log, 5, instance.holds);
    const { size } = await registry.head(log);
    const series = new ReceiptSeries({
      database,
      tiles,
      trees,
      anchors,
      storedPath,
      checkpoint: (of, at) => publisher.at(of, at),
    });
    const texts = async (...asked: Parameters<typeof series.texts>): Promise<(string | null)[] | null> => {
      const receipts = await series.texts(...asked);
      if (receipts !== null && 'unsigned' in receipts) throw new Error('a checkpoint is not signed');
      return receipts?.map((write) => write && written(write)) ?? null;
    };
    const single = new Receipts({ database, entries, tiles, publisher, trees, anchors, storedPath });
    const all = await entries.list(log, 0, size);
    expect(await texts(log, all, null)).toBeNull();

    const current = await publisher.current(log);
    const expected = await Promise.all(
      all.map(async ({ index, secret }) => (secret === null ? null : JSON.stringify(await single.compose(log, index)))),
    );
    expect(await texts(log, all, current)).toEqual(expected);
    const pages: (string | null)[] = [];
    for (let at = 0; at < size; at += 100) pages.push(...((await texts(log, all.slice(at, at + 100), current)) ?? []));
    expect(pages).toEqual(expected);
    // What a search leaves has gaps.
    const some = all.filter(({ index }) => index % 37 === 5);
    expect(await texts(log, some, current)).toEqual(some.map(({ index }) => expected[index]));
    expect(await texts(log, all.slice(0, 1_013), null)).toEqual(expected.slice(0, 1_013));
    expect(await texts(log, [], null)).toEqual([]);
  } finally {
    await instance.end();
    await server.drop();
  }
});
