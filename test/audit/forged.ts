// A history that somebody with the seed makes up, written as a mirror: no service would have made it so.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { sha256 } from '#sha256';
import { toHex, utf8 } from '../../src/core/bytes.ts';
import { commitTo, encodeEntry, entryLeafHash } from '../../src/core/entry.ts';
import { hashLeaf, MerkleTree } from '../../src/core/merkle.ts';
import { formatVerifierKey } from '../../src/core/note.ts';
import { logId, logOrigin, SYSTEM_LOG } from '../../src/core/origin.ts';
import { encodeCheckpointLeaf, encodeLink, firstPreviousRoot } from '../../src/core/round.ts';
import { encodeBundle, tileLocation, tilePath } from '../../src/core/tiles.ts';
import { formatTime } from '../../src/core/time.ts';
import { LogSeed } from '../../src/log/seed.ts';

export interface ForgedStory {
  readonly origin?: string;
  /** When entry `index` of a log says that it was received, milliseconds. */
  readonly receivedAt?: (log: string, index: number) => number;
  /** What stands at an index. */
  readonly payload?: (log: string, index: number) => string;
  /** Entries of each log in the end. */
  readonly logs: Readonly<Record<string, number>>;
  /** When each round closed, and how many entries of each log it has; what it leaves out did not grow. */
  readonly rounds: readonly {
    readonly closedAt: number;
    readonly sizes: Readonly<Record<string, number>>;
    /** What it says of anchors of its root. */
    readonly anchors?: (root: Uint8Array) => readonly unknown[];
  }[];
  /** Chains that the service tells of. */
  readonly chains?: readonly string[];
  /** Rounds whose acts `_system` does not have. */
  readonly untold?: readonly number[];
  /** Logs that sign by ML-DSA as well by an act of `_system`, from the first entry on, and whether they do. */
  readonly mlDsa?: Readonly<Record<string, boolean>>;
  /** Leaves of rounds that show an earlier root of the log than it had. */
  readonly wrongLeaf?: (round: number, log: string) => boolean;
}

export const FORGED_ORIGIN = 'forged.test';
/** 1 January 2026. */
export const NEW_YEAR = 1_767_225_600_000;
export const FORGED_SEED = new LogSeed(new Uint8Array(32).fill(0x66));

interface ForgedLog {
  readonly origin: string;
  readonly hashes: Buffer;
  readonly entries: Uint8Array[];
  size: number;
}

/** Writes the mirror of a story. @returns the verifier key of `_system` */
export function forgeMirror(folder: string, story: ForgedStory): string {
  const origin = story.origin ?? FORGED_ORIGIN;
  const write = (path: string, bytes: Uint8Array | string): void => {
    const file = join(folder, ...path.split('/'));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
  };
  const keyOf = (name: string): Uint8Array => FORGED_SEED.signer(logOrigin(origin, name)).publicKey;
  const note = (log: ForgedLog, size: number): string => {
    const root = new MerkleTree(log.hashes.subarray(0, 32 * size)).root();
    const signer = FORGED_SEED.signer(log.origin);
    const byBoth = Object.entries(story.mlDsa ?? {}).some(
      ([name, does]) => does && logOrigin(origin, name) === log.origin,
    );
    const signed = (byBoth ? signer.withMlDsa() : signer).sign({ origin: log.origin, size, root });
    if (typeof signed !== 'string') throw new Error('signed elsewhere');
    return signed;
  };
  const receivedAt = story.receivedAt ?? ((_, index) => NEW_YEAR + index);
  const logs = new Map<string, ForgedLog>();
  for (const [name, count] of Object.entries(story.logs)) {
    const log = newLog(logOrigin(origin, name), count);
    for (let index = 0; index < count; index++) {
      const { payload, nonce } = forgedContent(story, name, index);
      append(log, receivedAt(name, index), commitTo(sha256(utf8(payload)), nonce));
    }
    logs.set(name, log);
  }

  const system = newLog(logOrigin(origin, SYSTEM_LOG), actCount(story) + (story.untold?.length ?? 0));
  const acts: string[] = [];
  const act = (at: number, what: object): void => {
    const line = JSON.stringify({ at: formatTime(at), ...what });
    acts.push(line);
    append(system, at, commitTo(sha256(utf8(line)), new Uint8Array(0)));
  };
  for (const name of logs.keys()) {
    act(NEW_YEAR, { act: 'log-created', log: logOrigin(origin, name), blinded: true, publicKey: toHex(keyOf(name)) });
  }
  for (const name of Object.keys(story.mlDsa ?? {})) {
    const log = logOrigin(origin, name);
    const [publicKey = new Uint8Array()] = FORGED_SEED.mlDsaKeys(log, 1);
    act(NEW_YEAR, { act: 'log-ml-dsa', log, on: true, keys: [{ number: 1, publicKey: toHex(publicKey) }] });
  }
  let previousRoot = firstPreviousRoot(origin);
  for (const [i, { closedAt, sizes, anchors }] of story.rounds.entries()) {
    const number = i + 1;
    const grown = [...Object.entries(sizes).map(([name, size]) => ({ name, log: logs.get(name)!, size }))];
    grown.push({ name: SYSTEM_LOG, log: system, size: system.size });
    const leaves = grown.map(({ name, log, size }) => {
      const end = story.wrongLeaf?.(number, name) === true ? size - 1 : size;
      const root = new MerkleTree(log.hashes.subarray(0, 32 * end)).root();
      return {
        leaf: encodeCheckpointLeaf({ logId: logId(log.origin), size, root }),
        checkpoint: note(log, size),
      };
    });
    leaves.sort((a, b) => Buffer.compare(a.leaf, b.leaf));
    const link = encodeLink({ number, closedAt, previousRoot, beacons: [] });
    const root = new MerkleTree(Buffer.concat([link, ...leaves.map(({ leaf }) => leaf)].map(hashLeaf))).root();
    const all = [{ leaf: toHex(link) }, ...leaves.map(({ leaf, checkpoint }) => ({ leaf: toHex(leaf), checkpoint }))];
    for (let from = 256; from < all.length; from += 256) {
      const bundle = JSON.stringify({ leaves: all.slice(from, from + 256) });
      write(`v1/audit/rounds/${tilePath(number)}.leaves/${tilePath(from / 256)}`, bundle);
    }
    write(
      `v1/audit/rounds/${tilePath(number)}`,
      JSON.stringify({
        number,
        closedAt: formatTime(closedAt),
        previousRoot: toHex(previousRoot),
        beacons: [],
        root: toHex(root),
        size: all.length,
        anchors: anchors?.(root) ?? [],
        leaves: all.slice(0, 256),
      }),
    );
    if (story.untold?.includes(number) !== true) act(closedAt, { act: 'round-closed', number, root: toHex(root) });
    previousRoot = root;
  }

  for (const [name, log] of [...logs, [SYSTEM_LOG, system] as const]) {
    writeTiles(log, (path, bytes) => write(`logs/${name}/${path}`, bytes));
    write(`logs/${name}/checkpoint`, note(log, log.size));
  }
  for (let from = 0; from < acts.length; from += 256) {
    const lines = acts.slice(from, from + 256);
    const location = tileLocation({ level: 'entries', index: from / 256, width: lines.length });
    write(location.replace('tile/entries', 'v1/audit/acts'), `${lines.join('\n')}\n`);
  }
  const verifierKey = formatVerifierKey(system.origin, keyOf(SYSTEM_LOG));
  const told = (story.chains ?? []).map((chain) => ({ chain }));
  const service = { format: 'antequem-service/v1', origin, verifierKey, rounds: story.rounds.length, chains: told };
  write('v1/audit/service', JSON.stringify(service));
  return verifierKey;
}

/** Entries that `_system` has in the end. */
export function actCount({ logs, mlDsa = {}, rounds, untold = [] }: ForgedStory): number {
  return Object.keys(logs).length + Object.keys(mlDsa).length + rounds.length - untold.length;
}

/** What an entry commits to. */
export function forgedContent(
  story: ForgedStory,
  log: string,
  index: number,
): { readonly payload: string; readonly nonce: Uint8Array } {
  const payload = story.payload?.(log, index) ?? `${log} ${index}`;
  return { payload, nonce: sha256(utf8(`nonce of ${log} ${index}`)).slice(0, 16) };
}

function newLog(origin: string, most: number): ForgedLog {
  return { origin, hashes: Buffer.alloc(32 * most), entries: [], size: 0 };
}

function append(log: ForgedLog, receivedAt: number, commitment: Uint8Array): void {
  const before = log.hashes.subarray(32 * (log.size - 1), 32 * log.size);
  const entry = { receivedAt, previous: log.size === 0 ? logId(log.origin) : before, commitment };
  log.entries.push(encodeEntry(entry));
  log.hashes.set(entryLeafHash(entry), 32 * log.size++);
}

function writeTiles(log: ForgedLog, write: (path: string, bytes: Uint8Array) => void): void {
  let hashes = log.hashes.subarray(0, 32 * log.size);
  for (let level = 0; hashes.length > 0; level++) {
    const above: Uint8Array[] = [];
    for (let index = 0; index * 8_192 < hashes.length; index++) {
      const tile = hashes.subarray(index * 8_192, (index + 1) * 8_192);
      const width = tile.length / 32;
      write(tileLocation({ level, index, width }), tile);
      if (level === 0) {
        const entries = log.entries.slice(index * 256, index * 256 + width);
        write(tileLocation({ level: 'entries', index, width }), encodeBundle(entries));
      }
      if (width === 256) above.push(new MerkleTree(tile).root());
    }
    hashes = Buffer.concat(above);
  }
}
