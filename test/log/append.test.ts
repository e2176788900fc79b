import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { sha256 } from '#sha256';
import { toHex, utf8 } from '../../src/core/bytes.ts';
import type { Draft, Idempotency, Log } from '../../src/log/log.ts';
import { Clock, draft, drafts, type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { recompute } from '../support/recompute.ts';

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

const send = (instance: Instance, log: Log, list: Draft[]) =>
  instance.appender.append(log, { drafts: list, idempotency: null });

describe('many at once', () => {
  test('64 appenders of one process: no gap, no double, each told where its own stands', async () => {
    const log = await one.makeLog('many');
    const worker = async (n: number) => {
      const told: { index: number; text: string }[] = [];
      for (let i = 0; i < 12; i++) {
        const text = `${n}/${i}`;
        told.push({ index: (await one.append(log, text)).index, text });
      }
      return told;
    };
    const told = (await Promise.all(Array.from({ length: 64 }, (_, n) => worker(n)))).flat();
    const { rows } = await recompute(one.database, log);
    expect(rows).toHaveLength(64 * 12);
    expect(new Set(told.map(({ index }) => index)).size).toBe(64 * 12);
    for (const { index, text } of told) expect(rows[index]?.payload?.toString()).toBe(text);
  });

  test('two processes on one log, batches of several sizes', async () => {
    const log = await one.makeLog('shared');
    const other = await two.registry.find('shared');
    const worker = async (instance: Instance, target: Log, n: number) => {
      for (let i = 0; i < 8; i++) {
        const list = drafts(1 + ((n * 7 + i * 13) % 40), `${n}/${i}`);
        const appended = await send(instance, target, list);
        expect(appended.count).toBe(list.length);
        expect(appended.digest).toEqual(list.at(-1)?.digest);
      }
    };
    expect(other).toEqual(log);
    await Promise.all(
      Array.from({ length: 24 }, (_, n) => (n % 2 === 0 ? worker(one, log, n) : worker(two, other ?? log, n))),
    );
    const { rows } = await recompute(one.database, log);
    // A batch stands in one piece.
    const texts = rows.map((row) => row.payload?.toString() ?? '');
    for (const [i, text] of texts.entries()) {
      const [batch = '', position = ''] = text.split(' ');
      if (position !== '0') expect(texts[i - 1]).toBe(`${batch} ${Number(position) - 1}`);
    }
    expect(rows.length).toBe(
      Array.from({ length: 24 * 8 }, (_, k) => 1 + ((Math.floor(k / 8) * 7 + (k % 8) * 13) % 40)).reduce(
        (a, b) => a + b,
      ),
    );
  });

  test('a commit does not begin with the few that were not in the one before, while those return', async () => {
    const log = await one.makeLog('gathered');
    const sizes: number[] = [];
    one.appender.onCommitted = (entries) => void sizes.push(entries);
    onTestFinished(() => {
      one.appender.onCommitted = () => {};
    });
    const worker = async (rounds: number): Promise<void> => {
      for (let i = 0; i < rounds; i++) await one.append(log, `${i}`);
    };
    const many = Array.from({ length: 36 }, () => worker(2));
    // The first commit is on its way to the database then.
    await nextTurn();
    await nextTurn();
    await Promise.all([...many, ...Array.from({ length: 4 }, () => worker(1))]);
    expect(sizes).toEqual([36, 40]);
  });

  test('many logs at once', async () => {
    const logs = await Promise.all(Array.from({ length: 20 }, (_, i) => one.makeLog(`side-${i}`)));
    await Promise.all(logs.flatMap((log) => [one.append(log, 'a', 'b'), two.append(log, 'c'), one.append(log, 'd')]));
    for (const log of logs) expect((await recompute(one.database, log)).rows).toHaveLength(4);
  });
});

describe('what is kept', () => {
  const everyByte = Uint8Array.from({ length: 256 }, (_, i) => i);
  const kept: (readonly [string, Uint8Array])[] = [
    ['every byte', everyByte],
    ['every byte backwards', everyByte.toReversed()],
    ['nothing', new Uint8Array(0)],
    ['one null', new Uint8Array(1)],
    ['what looks escaped', utf8('\\x00\\000\'"{},()\n\r\n')],
    ['no UTF-8', new Uint8Array([0xff, 0xfe, 0xc0, 0x80])],
    ['a mebibyte', Uint8Array.from({ length: 1 << 20 }, (_, i) => (i * 31) >> 3)],
  ];

  test('payloads byte for byte, alone and in one batch beside digests without payload', async () => {
    for (const blinded of [true, false]) {
      const log = await one.makeLog(blinded ? 'kept' : 'kept-open', blinded);
      const missing = { digest: sha256(utf8('at home')), payload: null };
      for (const [, payload] of kept) await send(one, log, [draft(payload)]);
      await send(one, log, [missing, ...kept.flatMap(([, payload]) => [draft(payload), missing])]);
      const { rows } = await recompute(one.database, log);
      expect(rows).toHaveLength(kept.length * 3 + 1);
      for (const [i, [, payload]] of kept.entries()) {
        for (const index of [i, kept.length + 1 + 2 * i]) {
          const found = await two.entries.payload(log, index);
          expect(found).not.toBe('absent');
          expect(Buffer.compare(Buffer.from(found ?? ''), payload)).toBe(0);
          expect((await one.entries.read(log, index))?.payloadSize).toBe(payload.length);
        }
        const index = kept.length + 2 * i;
        expect(await one.entries.payload(log, index)).toBe('absent');
        expect((await one.entries.read(log, index))?.payloadSize).toBeNull();
        expect(toHex((await one.entries.read(log, index))?.secret?.digest ?? new Uint8Array())).toBe(
          toHex(missing.digest),
        );
      }
    }
  });

  test('a log of nothing but digests, which has no payload at all', async () => {
    const log = await one.makeLog('digests');
    const list = drafts(300).map(({ digest }) => ({ digest, payload: null }));
    await send(one, log, list);
    const { rows } = await recompute(one.database, log);
    expect(rows.every((row) => row.payload === null)).toBe(true);
    expect(rows.map((row) => row.digest?.toString('hex'))).toEqual(list.map(({ digest }) => toHex(digest)));
  });

  test('nonces are 16 random bytes in a blinded log and none in another', async () => {
    const [blinded, open] = [await one.makeLog('blinded'), await one.makeLog('open', false)];
    const same = Array.from({ length: 50 }, () => draft('the same'));
    for (const log of [blinded, open]) {
      await send(one, log, same);
      await Promise.all([one.append(log, 'the same'), two.append(log, 'the same')]);
    }
    const nonces = (await recompute(one.database, blinded)).rows.map((row) => row.nonce?.toString('hex') ?? '');
    expect(nonces.every((nonce) => nonce.length === 32)).toBe(true);
    expect(new Set(nonces).size).toBe(52);
    const commitments = (await recompute(one.database, open)).rows.map((row) => row.commitment.toString('hex'));
    expect(new Set(commitments)).toEqual(new Set([toHex(sha256(sha256(utf8('the same'))))]));
  });
});

describe('time', () => {
  test('never decreases when clocks step back and forth, and is that of the clock where it can be', async () => {
    const log = await one.makeLog('stepping');
    const clock = new Clock();
    const stepping = await openInstance(server.url, { clock });
    const steps = [0, 40_000, -40_000, 10_000, 50_000, 49_000, -50_000, 0];
    let highest = 0;
    for (const step of steps) {
      clock.shift = step;
      const before = clock.now();
      const { receivedAt } = await stepping.append(log, `${step}`);
      expect(receivedAt).toBeGreaterThanOrEqual(Math.max(before, highest));
      expect(receivedAt).toBeLessThanOrEqual(Math.max(clock.now(), highest));
      highest = receivedAt;
    }
    const { receivedAt } = await two.append(log, 'by the true clock');
    expect(receivedAt).toBe(highest);
    await stepping.end();
    expect((await recompute(one.database, log)).rows).toHaveLength(steps.length + 1);
  });

  test('more than 60 s away from the database nothing is written; less is taken', async () => {
    const log = await one.makeLog('skewed');
    const clock = new Clock();
    const skewed = await openInstance(server.url, { clock });
    const idempotency = { owner: '', key: 'skewed', requestHash: new Uint8Array(32) };
    for (const shift of [61_000, -61_000, 365 * 86_400_000, -365 * 86_400_000]) {
      clock.shift = shift;
      await expect(skewed.appender.append(log, { drafts: drafts(3), idempotency })).rejects.toMatchObject({
        code: 'clock-skew',
      });
      await expect(skewed.registry.create('never', { blinded: true })).rejects.toMatchObject({ code: 'clock-skew' });
      await expect(skewed.keys.create('never', ['read'], null)).rejects.toMatchObject({ code: 'clock-skew' });
      await expect(skewed.closeRound()).rejects.toMatchObject({ code: 'clock-skew' });
    }
    expect((await recompute(one.database, log)).rows).toEqual([]);
    expect(await one.registry.find('never')).toBeNull();
    expect(await one.keys.list()).toEqual([]);
    for (const table of ['idempotency', 'rounds', 'checkpoints']) {
      expect((await one.database.query(`SELECT 1 FROM ${table}`)).rowCount).toBe(0);
    }
    for (const shift of [58_000, -58_000]) {
      clock.shift = shift;
      await skewed.append(log, 'taken');
    }
    await skewed.end();
    expect((await recompute(one.database, log)).rows).toHaveLength(2);
  });

  test('a service that first starts with a wrong clock does not poison `_system`', async () => {
    const fresh = await testDatabase();
    const clock = new Clock();
    clock.shift = 30 * 86_400_000;
    const first = await openInstance(fresh.url, { clock });
    clock.shift = 0;
    await first.makeLog('demo');
    const { rows } = await recompute(first.database, first.registry.system);
    expect(rows).toHaveLength(1);
    expect(rows[0]?.received_at).toBeLessThanOrEqual(Date.now());
    await first.end();
    await fresh.drop();
  });
});

test('what would wait beyond the bound is refused at once, and taken when the queue is empty again', async () => {
  const log = await one.makeLog('bounded');
  const narrow = await openInstance(server.url, { maxQueuedBytes: 10_000 });
  const list = [draft(new Uint8Array(6_000))];
  const [first, second] = await Promise.allSettled([send(narrow, log, list), send(narrow, log, list)]);
  expect(first.status).toBe('fulfilled');
  expect(second).toMatchObject({ status: 'rejected', reason: { code: 'overloaded' } });
  for (let i = 0; i < 5; i++) await send(narrow, log, list);
  await narrow.end();
  expect((await recompute(one.database, log)).rows).toHaveLength(6);
});

test('batches get the places they were foreseen for or others, and all are read back as they were sent', async () => {
  const log = await one.makeLog('foreseen');
  const repeated = { owner: '', key: 'repeated', requestHash: sha256(utf8('repeated')) };
  const batch = async (count: number, label: string, idempotency: Idempotency | null = null): Promise<void> => {
    const { index } = await one.appender.append(log, { drafts: drafts(count, label), idempotency });
    const read = await one.entries.payloads(log, index, index + count);
    expect(read.map((payload) => Buffer.from(payload ?? '').toString())).toEqual(
      drafts(count, label).map(({ payload }) => Buffer.from(payload ?? '').toString()),
    );
  };
  await batch(700, 'repeated', repeated);
  await Promise.all([
    batch(300, 'first'),
    // It takes no place, and another process takes some.
    batch(700, 'repeated', repeated),
    two.appender.append(log, { drafts: drafts(77, 'elsewhere'), idempotency: null }),
    ...Array.from({ length: 6 }, (_, i) => batch(500 + i, `further ${i}`)),
  ]);
  await batch(1_000, 'last');
  expect((await recompute(one.database, log)).rows).toHaveLength(700 + 300 + 77 + 3_015 + 1_000);
});
