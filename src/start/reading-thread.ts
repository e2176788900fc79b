// The thread that searches and exports.

import { setTimeout as sleep } from 'node:timers/promises';
import { workerData } from 'node:worker_threads';
import { RememberedByRound, receiptAnchors } from '../anchor/anchors.ts';
import { ReceiptSeries } from '../anchor/receipt-series.ts';
import { RoundTrees } from '../anchor/roundtrees.ts';
import { type Answering, answerQuestions } from '../api/answering.ts';
import { EntryLines } from '../api/entry-line.ts';
import { entryView, fullEntryView } from '../api/entry-view.ts';
import type { ExportReading, Reading, SearchReading } from '../api/readings.ts';
import { utf8 } from '../core/bytes.ts';
import { SharedLimit } from '../core/lru.ts';
import { TextWriter } from '../core/text-writer.ts';
import { TILE_WIDTH } from '../core/tiles.ts';
import { findStored, receiptStoredPath } from '../evm/stored-rounds.ts';
import { KINDS } from '../kinds.ts';
import { EntryReader } from '../log/entries.ts';
import { RecordedCheckpoints } from '../log/publish.ts';
import { type PortionReader, searchPage } from '../log/search.ts';
import { TileStore } from '../log/tilestore.ts';
import { openDatabase } from '../store/database.ts';
import { Cosignatures } from '../witness/cosignatures.ts';
import { openArchives } from './archives.ts';
import { yieldToOthers } from './priority.ts';
import type { ReadingSettings } from './readings.ts';
import { RestingWork } from './resting.ts';

const CONNECTIONS = 3;
/** Entries, and bytes of text, after which an answer of an export is complete. */
const EXPORT_ENTRIES = TILE_WIDTH;
const EXPORT_BYTES = 4 << 20;
/** Bytes of a line, about, with a receipt and without. */
const PROVEN_BYTES = 4_096;
const PLAIN_BYTES = 1_024;
const RECEIPT = utf8(',"receipt":');
const LINE_END = utf8('}\n');
/** Of all that is remembered: what an export reads again lies close together. */
const REMEMBERED_BYTES = 8 << 20;

yieldToOthers();
const { databaseUrl, archive, witnessKeys, commits }: ReadingSettings = workerData;
const database = openDatabase(databaseUrl, { connections: CONNECTIONS, name: 'antequem reading' });
const archives = openArchives(archive);
const memory = new SharedLimit(REMEMBERED_BYTES);
const tiles = new TileStore(database, archives, memory);
const entries = new EntryReader(database, archives.blocks, tiles, memory);
const resting = new RestingWork(commits, { now: () => performance.now(), sleep });
/** Reads portions of a search or an export. */
const portions: PortionReader = { portion: (...asked) => resting.work(() => entries.portion(...asked)) };
const recorded = new RecordedCheckpoints(database);
const cosignatures = new Cosignatures(database);
const remembered = new RememberedByRound(
  (round) => receiptAnchors(KINDS, database, round),
  () => performance.now(),
  memory,
);
const trees = new RoundTrees(database, memory);
const series = new ReceiptSeries({
  database,
  tiles,
  trees,
  anchors: (round) => remembered.get(round),
  storedPath: async (round) => receiptStoredPath(await findStored(database, trees, null, round), round),
  checkpoint: async (log, size) => {
    const checkpoint = await recorded.at(log, size);
    return checkpoint === null || witnessKeys.length === 0 ? checkpoint : cosignatures.of(log, checkpoint, witnessKeys);
  },
});

async function search({ log, criteria, from, end, limit, size, payloads }: SearchReading): Promise<Answering> {
  const page = await searchPage(portions, log, criteria, { from, end, limit });
  const found = page.entries.map((entry) => (payloads ? fullEntryView(log, entry) : entryView(log, entry)));
  return given(JSON.stringify({ size, entries: found, ...(page.next === null ? {} : { next: page.next }) }));
}

async function exported(reading: ExportReading): Promise<Answering> {
  const { log, criteria, from, end, receipts, checkpoint } = reading;
  // So that the next answer begins with a tile.
  const limit = EXPORT_ENTRIES - (from % EXPORT_ENTRIES);
  const page = await searchPage(portions, log, criteria, { from, end, limit });
  const texts = receipts ? await series.texts(log, page.entries, checkpoint) : [];
  if (texts === null) return { answer: null };
  if ('unsigned' in texts) return { answer: texts };
  const out = new TextWriter((receipts ? PROVEN_BYTES : PLAIN_BYTES) * page.entries.length);
  const lines = new EntryLines(log);
  let { next } = page;
  for (const [i, entry] of page.entries.entries()) {
    if (out.length >= EXPORT_BYTES) {
      next = entry.index;
      break;
    }
    lines.write(out, entry);
    if (receipts) {
      out.bytes(RECEIPT);
      const write = texts[i] ?? null;
      if (write === null) out.text('null');
      else write(out);
    }
    out.bytes(LINE_END);
  }
  const text = out.written();
  return { answer: { text, next }, transfer: [text.buffer] };
}

function given(text: string): Answering {
  const bytes = bytesOf(text);
  return { answer: bytes, transfer: [bytes.buffer] };
}

/** In memory of its own, which can be given away. */
function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Buffer.byteLength(text));
  new TextEncoder().encodeInto(text, bytes);
  return bytes;
}

answerQuestions((reading: Reading) => (reading.kind === 'search' ? search(reading) : exported(reading)));
