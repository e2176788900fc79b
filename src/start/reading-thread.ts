// The thread that searches and exports.

import { setPriority } from 'node:os';
import { workerData } from 'node:worker_threads';
import { RememberedAnchors, receiptAnchors } from '../anchor/anchors.ts';
import { ReceiptSeries, type ReceiptText } from '../anchor/receipt-series.ts';
import { RoundTrees } from '../anchor/roundtrees.ts';
import { entryView, fullEntryView } from '../api/entry-view.ts';
import type { ExportReading, Reading, SearchReading } from '../api/readings.ts';
import { type Answering, answerQuestions } from '../api/thread.ts';
import { receiptStoredPath } from '../evm/stored-rounds.ts';
import { KINDS } from '../kinds.ts';
import { EntryReader } from '../log/entries.ts';
import { RecordedCheckpoints } from '../log/publish.ts';
import { searchPage } from '../log/search.ts';
import { TileStore } from '../log/tilestore.ts';
import { openDatabase } from '../store/database.ts';
import { Cosignatures } from '../witness/cosignatures.ts';
import { openBlockArchive } from './block-archive.ts';
import type { ReadingSettings } from './readings.ts';

const CONNECTIONS = 3;
/** Entries, and bytes of text, after which an answer of an export is complete. */
const EXPORT_ENTRIES = 256;
const EXPORT_BYTES = 4 << 20;
/** Of Linux, where it is the priority of this thread alone: whoever appends goes first. */
const NICE = 10;

if (process.platform === 'linux') setPriority(NICE);
const { databaseUrl, archive, witnessKeys }: ReadingSettings = workerData;
const database = openDatabase(databaseUrl, { connections: CONNECTIONS, name: 'antequem reading' });
const entries = new EntryReader(database, openBlockArchive(archive));
const recorded = new RecordedCheckpoints(database);
const cosignatures = new Cosignatures(database);
const remembered = new RememberedAnchors(
  (round) => receiptAnchors(KINDS, database, round),
  () => performance.now(),
);
const trees = new RoundTrees(database);
const series = new ReceiptSeries({
  database,
  tiles: new TileStore(database),
  trees,
  anchors: (round) => remembered.get(round),
  storedPath: (round) => receiptStoredPath(database, trees, round),
  checkpoint: async (log, size) => {
    const checkpoint = await recorded.at(log, size);
    return checkpoint === null || witnessKeys.length === 0 ? checkpoint : cosignatures.of(log, checkpoint, witnessKeys);
  },
});

async function search({ log, criteria, from, end, limit, size, payloads }: SearchReading): Promise<Answering> {
  const page = await searchPage(entries, log, criteria, { from, end, limit });
  const found = page.entries.map((entry) => (payloads ? fullEntryView(log, entry) : entryView(log, entry)));
  return given(JSON.stringify({ size, entries: found, ...(page.next === null ? {} : { next: page.next }) }));
}

async function exported(reading: ExportReading): Promise<Answering> {
  const { log, criteria, from, end, receipts, checkpoint } = reading;
  const page = await searchPage(entries, log, criteria, { from, end, limit: EXPORT_ENTRIES });
  const texts = receipts ? await series.texts(log, page.entries, checkpoint) : [];
  if (texts === null) return { answer: null };
  if ('unsigned' in texts) return { answer: texts };
  const lines: Line[] = [];
  let length = 0;
  for (const [i, entry] of page.entries.entries()) {
    if (length >= EXPORT_BYTES) return givenLines(lines, length, entry.index);
    const line = lineOf(JSON.stringify(fullEntryView(log, entry)), receipts ? (texts[i] ?? null) : undefined);
    lines.push(line);
    length += line.bytes;
  }
  return givenLines(lines, length, page.next);
}

/** A line of an export before its bytes are put together: what receipts share is copied once, as bytes. */
interface Line {
  readonly text: string;
  readonly shared: Uint8Array;
  /** With the end of the line. */
  readonly bytes: number;
}

const NOTHING = new Uint8Array(0);
const LINE_END = '}\n';

/** @param receipt null: there is none; undefined: none was asked for */
function lineOf(view: string, receipt: ReceiptText | null | undefined): Line {
  const own = receipt === undefined ? '' : `,"receipt":${receipt?.own ?? 'null'}`;
  const text = view.slice(0, -1) + own;
  const shared = receipt?.shared ?? NOTHING;
  return { text, shared, bytes: Buffer.byteLength(text) + shared.length + LINE_END.length };
}

function givenLines(lines: readonly Line[], length: number, next: number | null): Answering {
  const text = new Uint8Array(length);
  const bytes = Buffer.from(text.buffer);
  let at = 0;
  for (const line of lines) {
    at += bytes.write(line.text, at);
    text.set(line.shared, at);
    at += line.shared.length;
    at += bytes.write(LINE_END, at, 'latin1');
  }
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
