import { afterEach, beforeEach, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { toHex } from '../../src/core/bytes.ts';
import { forgetDigests, forgetNoted } from '../../src/log/digest-forgetting.ts';
import { scanIndex } from '../../src/log/digest-index.ts';
import { mergeRuns } from '../../src/log/digest-merging.ts';
import { makeRuns } from '../../src/log/digest-runs.ts';
import { eraseEntry } from '../../src/log/erase.ts';
import type { Log } from '../../src/log/log.ts';
import { transaction } from '../../src/store/database.ts';
import { auditDatabase } from '../support/audit.ts';
import { draft, drafts, type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

const RUNS = 40;
const RUN_ENTRIES = 500;

let server: TestDatabase;
let one: Instance;
let log: Log;

beforeEach(async () => {
  server = await testDatabase();
  one = await openInstance(server.url);
  log = await one.makeLog('merged');
});

afterEach(async () => {
  await one?.end();
  await server?.drop();
});

/** A run after the other. */
async function fill(): Promise<void> {
  for (let run = 0; run < RUNS; run++) {
    await one.appender.append(log, { drafts: drafts(RUN_ENTRIES, `line ${run}`), idempotency: null });
    await makeRuns(one.database, 1);
  }
}

const textOf = (index: number): string => `line ${Math.floor(index / RUN_ENTRIES)} ${index % RUN_ENTRIES}`;

const find = async (text: string): Promise<number[]> =>
  (await one.entries.locate(draft(text).digest, ['merged'], 1_000)).map(({ index }) => index).sort((a, b) => a - b);

/** Fewer than the service has, so that a small log will do. */
const ROWS = 16;

/** How many rows a node has at most, at each depth. */
async function mostRows(): Promise<number[]> {
  const { rows } = await one.database.query<{ most: number }>(
    `SELECT max(n)::int AS most FROM (
       SELECT 0 AS depth, count(*) AS n FROM digest_runs GROUP BY bucket
       UNION ALL SELECT depth, count(*) FROM merged_digests GROUP BY depth, node) AS c GROUP BY depth ORDER BY depth`,
  );
  return rows.map(({ most }) => most);
}

/** Entries of the log that the index has, each as often as it has it. */
async function indexed(): Promise<number[]> {
  const found: number[] = [];
  await scanIndex(one.database, (id, index) => {
    if (id === log.id) found.push(index);
  });
  return found.sort((a, b) => a - b);
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

test('runs are put together; each digest stays found, and the audit finds no fault', async () => {
  await fill();
  expect((await mostRows())[0]).toBeGreaterThan(30);
  expect(await mergeRuns(one.database, { rows: ROWS })).toBeGreaterThan(256);
  expect(await mergeRuns(one.database, { rows: ROWS })).toBe(0);
  expect(await mostRows()).toEqual([expect.toSatisfy((most) => most < 16), 2]);
  // Further down.
  expect(await mergeRuns(one.database, { rows: 2, depth: 2 })).toBeGreaterThan(256);
  expect((await mostRows()).length).toBeGreaterThan(2);
  for (let run = 0; run < RUNS; run++) {
    expect(await find(textOf(run * RUN_ENTRIES + run))).toEqual([run * RUN_ENTRIES + run]);
  }
  expect(await find('line 0 none')).toEqual([]);
  const asked = upTo(RUNS).map((run) => draft(`line ${run} 7`).digest);
  expect(await one.entries.held(log, [...asked, draft('none').digest])).toEqual(new Set(asked.map(toHex)));
  expect(await indexed()).toEqual(upTo(RUNS * RUN_ENTRIES));
  expect((await auditDatabase(server.url)).findings).toEqual([]);
});

test('whoever looks while runs are put together finds everything', async () => {
  await fill();
  let over = false;
  const merging = mergeRuns(one.database, { rows: ROWS }).finally(() => {
    over = true;
  });
  const asked = upTo(2_000).map((i) => draft(textOf(i * 10)).digest);
  let looks = 0;
  while (!over) {
    const index = Math.floor(Math.random() * RUNS * RUN_ENTRIES);
    expect(await find(textOf(index))).toEqual([index]);
    if (looks++ % 20 === 0) expect((await one.entries.held(log, asked)).size).toBe(asked.length);
  }
  expect(looks).toBeGreaterThan(20);
  expect(await merging).toBeGreaterThan(256);
});

test('a digest that was logged many times is found at each place, in rows of bounded size', async () => {
  const same = Array.from({ length: 300 }, () => draft('the same'));
  for (let run = 0; run < 20; run++) {
    await one.appender.append(log, { drafts: same, idempotency: null });
    await makeRuns(one.database, 1);
  }
  await mergeRuns(one.database, { rows: ROWS });
  await mergeRuns(one.database, { rows: 1 });
  expect(await indexed()).toEqual(upTo(6_000));
  const { rows } = await one.database.query<{ most: number }>(
    'SELECT max(length(records))::int AS most FROM merged_digests',
  );
  expect(rows[0]?.most).toBe(16 * 1_024);
  expect(await find('the same')).toHaveLength(1_000);
  expect(await one.entries.locate(draft('the same').digest, ['merged'], 10_000)).toHaveLength(6_000);
});

test('a digest with more rows than are read at a time is found in all of them', async () => {
  for (let run = 0; run < 70; run++) {
    await one.append(log, 'again', `other ${run}`);
    await makeRuns(one.database, 1);
  }
  expect(await find('again')).toHaveLength(70);
  await mergeRuns(one.database, { rows: 1 });
  expect((await mostRows()).at(-1)).toBeGreaterThanOrEqual(70);
  expect(await find('again')).toHaveLength(70);
  expect(await one.entries.held(log, [draft('again').digest])).toHaveLength(1);
});

test('what is erased leaves merged rows: single entries, ranges, and those whose digest is not known', async () => {
  await fill();
  await mergeRuns(one.database, { rows: 5, depth: 2 });
  await eraseEntry(one.database, one.registry.system, one.sequencing, log, 3_077, one.holds);
  expect(await find(textOf(3_077))).toEqual([]);
  const forget = (begin: number, end: number, digestOf: (index: number) => Uint8Array | null): Promise<void> =>
    transaction(one.database, (tx) =>
      forgetDigests(
        tx,
        log,
        [begin, end],
        upTo(end - begin).map((i) => ({ index: begin + i, digest: digestOf(begin + i) })),
      ),
    );
  const known = (index: number): Uint8Array => draft(textOf(index)).digest;
  await forget(4_000, 4_600, known);
  // As of a block that is erased as a whole: the ends alone are known, or nothing.
  await forget(5_000, 5_256, (index) => (index === 5_000 || index === 5_255 ? known(index) : null));
  await forget(6_000, 6_003, () => null);
  // Partly in a run that is not merged yet.
  await forget(RUNS * RUN_ENTRIES - 8_000, RUNS * RUN_ENTRIES - 200, known);
  // Where the order of runs is no help: the digest that is told is another one.
  await forget(9_000, 9_100, (index) => known(index + 100));
  await forgetNoted(one.database, AbortSignal.abort());
  const noted = async (): Promise<number> =>
    (await one.database.query<{ count: number }>('SELECT count(*) FROM forgotten_digests')).rows[0]?.count ?? 0;
  expect(await noted()).toBe(5);
  await forgetNoted(one.database, new AbortController().signal);
  expect(await noted()).toBe(0);
  const gone = (index: number): boolean =>
    index === 3_077 ||
    (index >= 4_000 && index < 4_600) ||
    (index >= 5_000 && index < 5_256) ||
    (index >= 6_000 && index < 6_003) ||
    (index >= 9_000 && index < 9_100) ||
    (index >= RUNS * RUN_ENTRIES - 8_000 && index < RUNS * RUN_ENTRIES - 200);
  expect(await indexed()).toEqual(upTo(RUNS * RUN_ENTRIES).filter((index) => !gone(index)));
});

test('merging leaves off while erasure holds the index, and goes on afterwards', async () => {
  await fill();
  await transaction(one.database, async (tx) => {
    await forgetDigests(tx, log, [0, 1], [{ index: 0, digest: sha256(new Uint8Array(0)) }]);
    expect(await mergeRuns(one.database, { rows: ROWS })).toBe(0);
  });
  expect(await mergeRuns(one.database, { rows: ROWS, isInterrupted: () => true })).toBe(0);
  expect(await mergeRuns(one.database, { rows: ROWS })).toBeGreaterThan(256);
});
