import { type Readings, ReadingThread } from '../api/readings.ts';
import type { ArchiveConfig } from '../config/archive.ts';
import type { Config } from '../config.ts';
import type { WitnessKey } from '../core/cosignature.ts';
import { threadFile } from './thread-file.ts';

/** What the thread needs to open the database by itself. */
export interface ReadingSettings {
  readonly databaseUrl: string;
  /** The bucket with old contents of entries; null: none. */
  readonly archive: ArchiveConfig | null;
  /** Of the witnesses whose cosignatures receipts have. */
  readonly witnessKeys: readonly WitnessKey[];
  /** Counts commits of entries. */
  readonly commits: Int32Array;
}

/** Searches and exports, which rest while entries are committed. */
export function openReadings({
  databaseUrl,
  witnesses,
  archive,
}: Pick<Config, 'databaseUrl' | 'witnesses' | 'archive'>): { readings: Readings; noteCommit: () => void } {
  const commits = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const witnessKeys = witnesses?.policy.witnesses.map(({ key }) => key) ?? [];
  const settings: ReadingSettings = { databaseUrl, archive, witnessKeys, commits };
  const readings = new ReadingThread(threadFile('reading-thread'), settings);
  return { readings, noteCommit: () => void Atomics.add(commits, 0, 1) };
}
