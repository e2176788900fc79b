// A log of a million audit events in the archive, on versitygw: sizes, times, and what strangers read out of the bucket.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { Receipts } from '../../src/anchor/receipts.ts';
import { ArchivedBlocks, objectName } from '../../src/archive/archived-blocks.ts';
import { ArchivedTiles } from '../../src/archive/archived-tiles.ts';
import { Bucket, demandConditionalWrites } from '../../src/archive/bucket.ts';
import { deleteLeftovers, moveBlocks } from '../../src/archive/moved-blocks.ts';
import { moveTiles } from '../../src/archive/moved-tiles.ts';
import { publishArchive } from '../../src/archive/publishing.ts';
import { verifyBlocks, verifyPublished } from '../../src/archive/verification.ts';
import { auditRemote } from '../../src/audit/remote/audit.ts';
import { HttpSource } from '../../src/audit/remote/http-source.ts';
import { composeReceipt } from '../../src/audit/remote/receipt.ts';
import { MirrorState } from '../../src/audit/remote/state.ts';
import { fromHex, toHex, utf8 } from '../../src/core/bytes.ts';
import { consistencyRanges } from '../../src/core/merkle.ts';
import { formatVerifierKey } from '../../src/core/note.ts';
import { rewriteBlocks } from '../../src/log/blocks/block-rewrite.ts';
import { EntryReader } from '../../src/log/entries.ts';
import { eraseEntry } from '../../src/log/erase.ts';
import type { Log } from '../../src/log/log.ts';
import { setRetention } from '../../src/log/retention.ts';
import { lookForDue } from '../../src/log/retention-run.ts';
import { TileStore } from '../../src/log/tilestore.ts';
import { auditDatabase } from '../support/audit.ts';
import { freePort } from '../support/debian-postgres.ts';
import { draft, type Instance, openInstance, SEED } from '../support/instance.ts';
import { type TestStore, versityStore } from '../support/object-store.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

const ENTRIES = Number(process.env.ARCHIVE_ENTRIES ?? 1_000_000);
const BATCH = 2_000;
/** Entries appended while others are archived, and once tiles have left the database. */
const BESIDE = 20 * BATCH;
const AFTER = 1_234;
const READS = 400;
const VERSITYGW = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0';
const FSCK = 'github.com/transparency-dev/tessera/cmd/fsck@v1.0.4';
const run = promisify(execFile);
const env = { ...process.env, PATH: [process.env.PATH, '/usr/local/go/bin'].join(delimiter) };

const folder = mkdtempSync(join(tmpdir(), 'antequem-archive-'));
let store: TestStore;
let server: TestDatabase;
let one: Instance;
let log: Log;
let web: ChildProcess | null = null;
/** Where the entries are moved to. */
let privateBucket: Bucket;
/** All entries of the first load were received before, milliseconds. */
let past = 0;

const VERBS = ['get', 'list', 'watch', 'create', 'patch', 'delete'];
/** As random as identifiers are. */
const uuidOf = (i: number): string => toHex(sha256(utf8(`event ${i}`))).slice(0, 32);

const payload = (i: number): string =>
  JSON.stringify({
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: 'Metadata',
    auditID: uuidOf(i),
    stage: 'ResponseComplete',
    requestURI: `/api/v1/namespaces/team-${i % 37}/pods/web-${i % 1_013}`,
    verb: VERBS[i % VERBS.length],
    user: { username: `system:serviceaccount:team-${i % 37}:deployer`, groups: ['system:authenticated'] },
    sourceIPs: [`10.${i % 251}.${i % 241}.${i % 239}`],
    responseStatus: { code: i % 17 === 0 ? 404 : 200 },
    requestReceivedTimestamp: new Date(1_750_000_000_000 + i * 37).toISOString(),
  });

beforeAll(async () => {
  await run('go', ['install', VERSITYGW], { env: { ...env, GOBIN: folder } });
  store = await versityStore(join(folder, 'versitygw'));
  server = await testDatabase();
  one = await openInstance(server.url);
  log = await one.makeLog('events');
}, 600_000);
afterAll(async () => {
  web?.kill();
  await one?.end();
  await server?.drop();
  await store?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function append(from: number, end: number): Promise<number[]> {
  const took: number[] = [];
  for (let at = from; at < end; at += BATCH) {
    const drafts = Array.from({ length: Math.min(BATCH, end - at) }, (_, i) => draft(payload(at + i)));
    const began = performance.now();
    await one.appender.append(log, { drafts, idempotency: null });
    took.push(performance.now() - began);
  }
  return took;
}

const sizeOf = async (table: string): Promise<number> => {
  const { rows } = await one.database.query<{ size: number }>('SELECT pg_total_relation_size($1::regclass) AS size', [
    table,
  ]);
  return rows[0]?.size ?? 0;
};

const percentile = (times: number[], share: number): string =>
  (times.sort((a, b) => a - b)[Math.floor(share * (times.length - 1))] ?? 0).toFixed(1);

async function timed(count: number, work: (i: number) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const began = performance.now();
    await work(i);
    times.push(performance.now() - began);
  }
  return times;
}

const say = (text: string): void => console.log(text);
const megabytes = (bytes: number): string => `${(bytes / 1_048_576).toFixed(1)} MiB`;

/** Tiles leave the database: receipts, whose contents are archived and in the cache, and proofs, before and after. */
async function moveOldTiles(publicBucket: Bucket, blocks: ArchivedBlocks): Promise<void> {
  const { database, publisher, trees } = one;
  const archives = { blocks, tiles: new ArchivedTiles([publicBucket]) };
  const size = (await one.registry.head(log)).size;
  const spot = (i: number): number => (i * 104_729) % ENTRIES;
  const readersOf = (name: string) => {
    const tiles = new TileStore(database, archives);
    const entries = new EntryReader(database, blocks, tiles);
    const receipts = new Receipts({ database, entries, tiles, publisher, trees, anchors: async () => [] });
    return async (at: (i: number) => number): Promise<string[]> => {
      const made: string[] = [];
      const took = await timed(READS, async (i) => void made.push(JSON.stringify(await receipts.compose(log, at(i)))));
      const proving = name === 'with cached tiles' ? tiles : new TileStore(database, archives);
      const proofs = await timed(READS, async (i) => {
        made.push((await proving.ranges(log, consistencyRanges(at(i) + 1, size), size)).map(toHex).join());
      });
      say(`receipt ${name}: p50 ${percentile(took, 0.5)} ms, p99 ${percentile(took, 0.99)} ms`);
      say(`consistency proof ${name}: p50 ${percentile(proofs, 0.5)} ms, p99 ${percentile(proofs, 0.99)} ms`);
      return made;
    };
  };
  const hot = await readersOf('with hot tiles')(spot);
  const before = await sizeOf('tiles');
  const began = performance.now();
  const moved = await moveTiles(
    { database, store: publicBucket, lock: () => null, signal: new AbortController().signal },
    Date.now(),
  );
  say(`moved ${moved} tiles in ${((performance.now() - began) / 1_000).toFixed(1)} s`);
  await database.query('VACUUM (FULL) tiles');
  const after = await sizeOf('tiles');
  say(`table of tiles: ${megabytes(before)} before, ${megabytes(after)} after`);
  expect(before - after).toBeGreaterThan(0.8 * moved * 8_192);
  const cold = readersOf('with archived tiles');
  expect(await cold(spot)).toEqual(hot);
  await readersOf('with cached tiles')((i) => spot(i % 8));
}

test('a million audit events are archived while others are appended; strangers read the bucket', async () => {
  const closed = await store.bucket('events-private');
  const open = await store.bucket('events-public');
  privateBucket = new Bucket(closed);
  const publicBucket = new Bucket(open);
  await demandConditionalWrites(privateBucket, 'probes/x');
  const quiet = await append(0, ENTRIES);
  past = Date.now() + 1;
  while (Date.now() <= past);
  await one.closeRound();
  const receipt = await one.receipts.compose(log, 4_242);
  const { rows } = await one.database.query<{ bytes: number }>(
    'SELECT sum(length(content))::bigint AS bytes FROM blocks WHERE log = $1 AND count = 256',
    [log.id],
  );
  const content = rows[0]?.bytes ?? 0;
  const before = await sizeOf('blocks');
  const pick = (i: number): number => (i * 7_919) % ENTRIES;
  const hot = await timed(READS, (i) => one.entries.payload(log, pick(i)));

  const began = performance.now();
  const options = {
    database: one.database,
    store: privateBucket,
    random: one.effects.random,
    lock: () => null,
    signal: new AbortController().signal,
  };
  const moving = moveBlocks(options, Date.now());
  const beside = await append(ENTRIES, ENTRIES + BESIDE);
  const moved = await moving;
  const took = performance.now() - began;
  await rewriteBlocks(one.database, { onProgress: () => {}, onWaiting: () => {} });
  const kept = await one.database.query<{ bytes: number }>(
    'SELECT coalesce(sum(pg_column_size(b.*)), 0)::bigint AS bytes FROM blocks b WHERE content IS NOT NULL',
  );
  // Without what was appended meanwhile.
  const after = (await sizeOf('blocks')) - (kept.rows[0]?.bytes ?? 0);
  const keys = (await sizeOf('archived_blocks')) + (await sizeOf('archived_commitments'));
  say(`moved ${moved} blocks with ${megabytes(content)} in ${(took / 1_000).toFixed(1)} s, beside appends`);
  say(`table of blocks: ${megabytes(before)} before, ${megabytes(after)} after; keys: ${megabytes(keys)}`);
  say(`appending ${BATCH} entries: p50 ${percentile(quiet, 0.5)} ms before, ${percentile(beside, 0.5)} ms beside`);
  expect(before - after - keys).toBeGreaterThan(0.8 * content);

  const archive = new ArchivedBlocks([privateBucket]);
  const cold = new EntryReader(one.database, archive);
  const coldTimes = await timed(READS, async (i) => {
    const read = await cold.payload(log, pick(i));
    expect(Buffer.from(read instanceof Uint8Array ? read : []).toString()).toBe(payload(pick(i)));
  });
  const warm = await timed(READS, (i) => cold.payload(log, pick(READS - 1) + (i % 8)));
  for (const [name, times] of Object.entries({ hot, cold: coldTimes, cached: warm })) {
    say(`payload ${name}: p50 ${percentile(times, 0.5)} ms, p99 ${percentile(times, 0.99)} ms`);
  }
  expect((await cold.chained(log, 4_242))?.entry.secret?.digest).toEqual(fromHex(receipt.entry.digest));
  expect((await auditDatabase(server.url, { archive })).findings).toEqual([]);

  const { database, tiles, trees, registry, publisher } = one;
  const publishing = { database, store: publicBucket, tiles, entries: cold, trees, registry, checkpoints: publisher };
  const how = { publishRounds: true, lock: () => null, signal: new AbortController().signal };
  const parts = { ...publishing, ...how, anchors: async () => [], chains: async () => [] };
  const publish = async (from: number): Promise<number> => {
    await one.closeRound();
    return publishArchive(parts, from, Date.now() + 1_000, async () => {});
  };
  const published = performance.now();
  const shown = await publish(0);
  say(`published in ${((performance.now() - published) / 1_000).toFixed(1)} s`);
  for (const verified of [
    await verifyBlocks(database, [privateBucket]),
    await verifyPublished(database, [publicBucket]),
  ]) {
    say(`verified ${verified.objects} objects`);
    expect(verified.faulty).toBe(0);
  }
  await moveOldTiles(publicBucket, archive);
  // The log goes on without them.
  await append(ENTRIES + BESIDE, ENTRIES + BESIDE + AFTER);
  await publish(shown);
  const key = formatVerifierKey(log.origin, SEED.signer(log.origin).publicKey);

  // Service, database and store are gone: what is left is a folder behind a plain static file server.
  await store.down();
  const port = await freePort();
  const files = join(store.folder, 'data', 'events-public');
  web = spawn('caddy', ['file-server', '--root', files, '--listen', `127.0.0.1:${port}`], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  while (!(await fetch(url).catch(() => null))) await sleep(50);
  await run('go', ['install', FSCK], { env: { ...env, GOBIN: folder } });
  await run('go', ['build', '-o', join(folder, 'go-tlog'), '.'], {
    cwd: fileURLToPath(new URL('../strangers/go-tlog/', import.meta.url)),
    env,
  });
  writeFileSync(join(folder, 'key'), `${key}\n`);
  const at = `${url}/logs/events`;
  const fsck = ['--ui=false', '--N=4', `--storage_url=${at}/`, `--public_key=${join(folder, 'key')}`];
  const checked = await run(join(folder, 'fsck'), fsck, { maxBuffer: 64 << 20 });
  say(`Tessera's fsck: ${checked.stderr.trim().split('\n').at(-1)}`);
  const torchwood = await run(join(folder, 'go-tlog'), [`${at}/`, key]);
  say(`torchwood read ${torchwood.stdout.trim()} entries`);
  expect(Number(torchwood.stdout)).toBe(ENTRIES + BESIDE + AFTER);
  const source = new HttpSource({ url });
  const { findings, result } = await auditRemote({
    source,
    keeper: null,
    state: new MirrorState(null),
    verifiers: [],
    nodes: [],
    bitcoin: [],
    senders: [],
    fromBlock: 0,
    against: null,
    onProgress: () => {},
    clock: () => performance.now(),
  });
  expect(findings).toEqual([]);
  say(`the audit read ${result.entries} entries and ${result.rounds} rounds out of the bucket`);
  const secret = { digest: fromHex(receipt.entry.digest), nonce: fromHex(receipt.entry.nonce) };
  expect((await composeReceipt(source, 'events', 4_242, secret)).entry).toEqual(receipt.entry);
  source.close();
  await store.up();
});

test('retention erases archived entries while the store is away', async () => {
  const { database, registry, sequencing, effects } = one;
  const archive = new ArchivedBlocks([privateBucket]);
  const now = Date.now();
  await setRetention({ database, system: registry.system, sequencing }, log, now - past);
  await store.down();
  const began = performance.now();
  const looked = await lookForDue({
    ...one,
    sequencing: { ...sequencing, effects: { ...effects, now: () => now } },
    archive,
    interval: 0,
    stopping: new AbortController().signal,
  });
  const took = performance.now() - began;
  await store.up();
  expect(looked).toMatchObject({ erased: ENTRIES, problem: null });
  say(`${looked.erased} entries erased in ${(took / 1_000).toFixed(1)} s, without the store`);
  expect(await new EntryReader(database, archive).payload(log, 4_242)).toBe('absent');
  expect((await auditDatabase(server.url, { archive })).findings).toEqual([]);
  const keys = (await sizeOf('archived_blocks')) + (await sizeOf('archived_commitments'));
  say(`table of blocks: ${megabytes(await sizeOf('blocks'))} afterwards; keys: ${megabytes(keys)}`);
  await setRetention({ database, system: registry.system, sequencing }, log, null);
});

test('locked objects are neither replaced nor deleted, and erasing makes them unreadable', async () => {
  const bucket = new Bucket(await store.bucket('locked-private', true));
  const small = await one.makeLog('small');
  await one.append(small, ...Array.from({ length: 300 }, (_, i) => `small ${i}`));
  const options = {
    database: one.database,
    store: bucket,
    random: one.effects.random,
    lock: () => ({ mode: 'COMPLIANCE' as const, until: Date.now() + 3_600_000 }),
    signal: new AbortController().signal,
  };
  expect(await moveBlocks(options, Date.now() + 1)).toBeGreaterThan(0);
  const { rows } = await one.database.query<{ object: Uint8Array }>(
    'SELECT object FROM archived_blocks WHERE log = $1',
    [small.id],
  );
  const name = objectName(rows[0]?.object ?? new Uint8Array(16));
  expect(await bucket.remove(name)).toBe('locked');
  expect(await bucket.putIfAbsent(name, utf8('other'))).toBe(false);
  const archive = new ArchivedBlocks([bucket]);
  expect(await eraseEntry(one.database, one.registry.system, one.sequencing, small, 3, one.holds, archive)).toBe(true);
  await one.database.query("UPDATE archive_leftovers SET since = '-infinity'");
  expect(await deleteLeftovers(one.database, bucket)).toBeGreaterThan(0);
  expect(await bucket.get(name, 1 << 20)).not.toBeNull();
  const left = await one.database.query('SELECT FROM archived_blocks WHERE log = $1', [small.id]);
  expect(left.rowCount).toBe(0);
  const entries = new EntryReader(one.database, archive);
  expect(await entries.payload(small, 3)).toBe('absent');
  expect(await entries.payload(small, 4)).toBeInstanceOf(Uint8Array);
});
