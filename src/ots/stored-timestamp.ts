// Whether what is stored of a round's calendars holds together: for whoever audits the database.

import { parseHeader } from '../core/bitcoin-header.ts';
import { equalBytes, fromHex, toHex } from '../core/bytes.ts';
import type { Queryable } from '../store/database.ts';
import { readAnswers, type StoredAnswer } from './answers.ts';
import { connect } from './assembly.ts';

/** A block that the database calls confirmed, and that the answers lead to. */
export interface StoredBlock {
  readonly height: number;
  /** Hex in RPC order. */
  readonly hash: string;
  /** Milliseconds, by its header. */
  readonly time: number;
}

export interface StoredTimestamp {
  readonly round: number;
  /** The earliest in front. */
  readonly blocks: readonly StoredBlock[];
  /** What is wrong, as parts of sentences after `of round N`. */
  readonly faults: readonly { readonly where: 'timestamp' | 'anchor'; readonly says: string }[];
}

interface AnchorRow {
  round: number;
  root: Uint8Array;
  status: string;
  block_number: number | null;
  block_hash: Uint8Array | null;
  block_time: number | null;
}

interface BlockRow {
  height: number;
  merkle_root: Uint8Array;
  state: string;
  header: Uint8Array | null;
  block_hash: Uint8Array | null;
}

const ROUNDS = 200;

/** What a target has of its rounds, one after the other. */
export async function* storedTimestamps(db: Queryable, target: string): AsyncGenerator<StoredTimestamp> {
  for (let after = 0; ; ) {
    const { rows } = await db.query<AnchorRow>(
      `SELECT a.round, r.root, a.status, a.block_number, a.block_hash, a.block_time
       FROM anchors a JOIN rounds r ON r.number = a.round WHERE a.target = $1 AND a.round > $2 ORDER BY a.round LIMIT $3`,
      [target, after, ROUNDS],
    );
    for (const row of rows) {
      after = row.round;
      const answers = await readAnswers(db, target, row.round);
      yield check(row, answers, await readBlocks(db, target, row.round));
    }
    if (rows.length < ROUNDS) return;
  }
}

function check(anchor: AnchorRow, answers: readonly StoredAnswer[], blocks: readonly BlockRow[]): StoredTimestamp {
  const faults: { where: 'timestamp' | 'anchor'; says: string }[] = [];
  const { lines, strays } = connect(new Uint8Array(anchor.root), answers, () => 'live');
  if (strays > 0) {
    faults.push({ where: 'timestamp', says: 'an answer of a calendar is no timestamp that leads on from its root' });
  }
  const led = new Set(
    lines.flatMap(({ attestation, message }) =>
      attestation.kind === 'bitcoin' ? [`${attestation.height} ${toHex(message)}`] : [],
    ),
  );
  const confirmed: StoredBlock[] = [];
  for (const block of blocks) {
    const { height, state } = block;
    if (!led.has(`${height} ${toHex(block.merkle_root)}`)) {
      faults.push({ where: 'timestamp', says: `no answer of a calendar leads to block ${height}` });
      continue;
    }
    if (block.header === null || block.block_hash === null) continue;
    const { merkleRoot, hash, time } = parseHeader(new Uint8Array(block.header));
    if (!equalBytes(merkleRoot, block.merkle_root) || !equalBytes(fromHex(hash), block.block_hash)) {
      faults.push({ where: 'timestamp', says: `the header of block ${height} is not one that the answers lead to` });
    } else if (state === 'confirmed' || state === 'buried') confirmed.push({ height, hash, time });
  }
  if (anchor.status === 'finalized' && !confirmed.some((block) => isBlockOf(anchor, block))) {
    faults.push({ where: 'anchor', says: 'the block that confirms it is not one that its calendars lead to' });
  }
  return { round: anchor.round, blocks: confirmed, faults };
}

function isBlockOf({ block_number, block_hash, block_time }: AnchorRow, { height, hash, time }: StoredBlock): boolean {
  return block_number === height && block_time === time && block_hash !== null && toHex(block_hash) === hash;
}

async function readBlocks(db: Queryable, target: string, round: number): Promise<BlockRow[]> {
  const { rows } = await db.query<BlockRow>(
    `SELECT t.height, t.merkle_root, t.state, t.header, t.block_hash
     FROM ots_requests q JOIN ots_attestations t ON t.request = q.id
     WHERE q.target = $1 AND q.round = $2 ORDER BY t.height`,
    [target, round],
  );
  return rows;
}
