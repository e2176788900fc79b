// Walks the rounds from the first to the newest: the chain they form, the leaves of each and its root.

import * as z from 'zod/mini';
import { compareBytes, equalBytes, fromHex } from '../../core/bytes.ts';
import { CompactRange } from '../../core/compact-range.ts';
import { AntequemError } from '../../core/errors.ts';
import { hashHex } from '../../core/hex.ts';
import { hashLeaf } from '../../core/merkle.ts';
import { type CheckpointLeaf, encodeLink, firstPreviousRoot, parseCheckpointLeaf } from '../../core/round.ts';
import type { Queryable } from '../../store/database.ts';
import type { Findings } from '../checks/findings.ts';

interface RoundRow {
  number: number;
  closed_at: number;
  previous_root: Uint8Array;
  root: Uint8Array;
  size: number;
  beacons: unknown;
}

interface LeafRow {
  round: number;
  index: number;
  leaf: Uint8Array;
  /** What the columns beside the leaf say it is about. */
  log: number | null;
  size: number | null;
  name: string | null;
  log_id: Uint8Array | null;
  checkpoint_root: Uint8Array | null;
}

const ROUNDS = 500;
const LEAVES = 4_000;
const DIGEST_LEAF = 0x82;
const DIGEST_LEAF_SIZE = 33;
const beaconList = z.array(z.looseObject({ chain: z.string(), height: z.number(), hash: hashHex }));

/** Walks all rounds. @returns how many there are */
export async function walkRounds(db: Queryable, serviceOrigin: string, findings: Findings): Promise<number> {
  const leaves = new LeafReader(db);
  let last = { number: 0, root: firstPreviousRoot(serviceOrigin), closedAt: 0 };
  let count = 0;
  for (;;) {
    const { rows } = await db.query<RoundRow>(
      'SELECT number, closed_at, previous_root, root, size, beacons FROM rounds WHERE number > $1 ORDER BY number LIMIT $2',
      [last.number, ROUNDS],
    );
    for (const round of rows) {
      count++;
      checkPlace(round, last, findings);
      await checkLeaves(round, leaves, findings);
      last = { number: round.number, root: round.root, closedAt: round.closed_at };
    }
    if (rows.length < ROUNDS) break;
  }
  const orphan = await leaves.peek();
  if (orphan !== null) orphaned(orphan, findings);
  await checkRoundHeads(db, findings);
  return count;
}

function checkPlace(
  round: RoundRow,
  last: { readonly number: number; readonly root: Uint8Array; readonly closedAt: number },
  findings: Findings,
): void {
  const { number } = round;
  if (number !== last.number + 1) {
    const says = `round ${number} comes after round ${last.number}`;
    findings.add('round-missing', { round: last.number + 1 }, says);
  } else if (!equalBytes(round.previous_root, last.root)) {
    const before =
      number === 1 ? 'the first round names another origin' : `it does not name the root of round ${number - 1}`;
    findings.add('link-broken', { round: number }, `round ${number} does not follow: ${before}`);
  }
  if (round.closed_at < last.closedAt) {
    findings.add('link-broken', { round: number }, `round ${number} was closed before the round before it`);
  }
}

async function checkLeaves(round: RoundRow, leaves: LeafReader, findings: Findings): Promise<void> {
  const { number } = round;
  const broken = (says: string): void => findings.add('round-broken', { round: number }, says);
  const tree = CompactRange.restore(0, []);
  let before: Uint8Array | null = null;
  for (let row = await leaves.peek(); row !== null && row.round <= number; row = await leaves.peek()) {
    leaves.skip();
    if (row.round < number) {
      orphaned(row, findings);
      continue;
    }
    if (row.index !== tree.size) broken(`leaf ${tree.size} of round ${number} is missing`);
    if (row.index === 0) checkLink(round, row, findings);
    else {
      // Log ids, and behind them digests: 0x81 before 0x82.
      const key = row.leaf.subarray(0, 33);
      const order = before === null ? -1 : compareBytes(before, key);
      if (order > 0 || (order === 0 && key[0] !== DIGEST_LEAF))
        broken(`leaf ${row.index} of round ${number} is out of order`);
      before = key;
      checkLeaf(row, findings);
    }
    tree.append(hashLeaf(row.leaf), () => {});
  }
  if (tree.size !== round.size) broken(`round ${number} has ${tree.size} leaves, and its row tells of ${round.size}`);
  if (!equalBytes(tree.root(), round.root)) broken(`the leaves of round ${number} do not make its root`);
}

function checkLink(round: RoundRow, { leaf }: LeafRow, findings: Findings): void {
  const expected = linkOf(round);
  if (expected !== null && equalBytes(expected, leaf)) return;
  const says = `the link of round ${round.number} does not say what its row says of number, close, predecessor and beacons`;
  findings.add('link-broken', { round: round.number }, says);
}

function linkOf({ number, closed_at, previous_root, beacons }: RoundRow): Uint8Array | null {
  const parsed = beaconList.safeParse(beacons);
  if (!parsed.success) return null;
  try {
    return encodeLink({
      number,
      closedAt: closed_at,
      previousRoot: previous_root,
      beacons: parsed.data.map(({ chain, height, hash }) => ({ chain, height, hash: fromHex(hash) })),
    });
  } catch (error) {
    if (error instanceof AntequemError) return null;
    throw error;
  }
}

function checkLeaf(row: LeafRow, findings: Findings): void {
  const place = { round: row.round, log: row.name };
  const where = `leaf ${row.index} of round ${row.round}`;
  if (row.leaf[0] === DIGEST_LEAF && row.leaf.length === DIGEST_LEAF_SIZE) {
    if (row.log !== null) findings.add('leaf-differs', place, `${where} is a digest, and stands for a log`);
    return;
  }
  const leaf = readLeaf(row.leaf);
  if (leaf === null) {
    findings.add('round-broken', { round: row.round }, `${where} is neither a checkpoint nor a digest`);
  } else if (row.log_id === null || !equalBytes(row.log_id, leaf.logId) || row.size !== leaf.size) {
    findings.add('leaf-differs', { round: row.round }, `${where} stands for another log or size than it says`);
  } else if (row.checkpoint_root === null) {
    const says = `the checkpoint of ${row.name} at size ${leaf.size}, which ${where} has, is not there`;
    findings.add('checkpoint-missing', place, says);
  } else if (!equalBytes(row.checkpoint_root, leaf.root)) {
    const says = `${where} has another root of ${row.name} at size ${leaf.size} than the checkpoint that was signed`;
    findings.add('leaf-differs', { round: row.round }, says);
  }
}

function readLeaf(bytes: Uint8Array): CheckpointLeaf | null {
  try {
    return parseCheckpointLeaf(bytes);
  } catch (error) {
    if (error instanceof AntequemError) return null;
    throw error;
  }
}

function orphaned({ round }: LeafRow, findings: Findings): void {
  findings.add('round-missing', { round }, `there are leaves of a round ${round}, which is not there`);
}

async function checkRoundHeads(db: Queryable, findings: Findings): Promise<void> {
  const { rows } = await db.query<{ log: number; name: string | null }>(
    `SELECT log, l.name FROM (SELECT log, max(size) AS size FROM round_leaves WHERE log IS NOT NULL GROUP BY log) AS due
     FULL JOIN round_heads h USING (log) LEFT JOIN logs l ON l.id = log
     WHERE due.size IS DISTINCT FROM h.size ORDER BY log LIMIT 1`,
  );
  const [head] = rows;
  if (head === undefined) return;
  const says = `how far ${head.name ?? `log ${head.log}`} is in a round is not what the rounds have`;
  findings.add('round-heads-differ', {}, says);
}

/** All leaves in the order of rounds, some thousand at a time. */
class LeafReader {
  readonly #db: Queryable;
  #page: LeafRow[] = [];
  #at = 0;
  #after = { round: 0, index: -1 };
  #ended = false;

  constructor(db: Queryable) {
    this.#db = db;
  }

  /** The next leaf, null behind the last. */
  async peek(): Promise<LeafRow | null> {
    if (this.#at === this.#page.length && !this.#ended) await this.#read();
    return this.#page[this.#at] ?? null;
  }

  skip(): void {
    this.#at++;
  }

  async #read(): Promise<void> {
    const { rows } = await this.#db.query<LeafRow>(
      `SELECT p.*, l.name, l.log_id, c.root AS checkpoint_root
       FROM (SELECT round, index, leaf, log, size FROM round_leaves
             WHERE (round, index) > ($1, $2) ORDER BY round, index LIMIT $3) AS p
       LEFT JOIN logs l ON l.id = p.log LEFT JOIN checkpoints c ON c.log = p.log AND c.size = p.size
       ORDER BY p.round, p.index`,
      [this.#after.round, this.#after.index, LEAVES],
    );
    this.#page = rows;
    this.#at = 0;
    this.#ended = rows.length < LEAVES;
    const last = rows.at(-1);
    if (last !== undefined) this.#after = { round: last.round, index: last.index };
  }
}
