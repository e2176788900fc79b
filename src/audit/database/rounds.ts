// Walks the rounds of the database from the first to the newest, with their leaves.

import * as z from 'zod/mini';
import { HEAD_BYTES } from '../../anchor/rounds.ts';
import { toHex } from '../../core/bytes.ts';
import { parsed } from '../../core/errors.ts';
import { hashHex } from '../../core/hex.ts';
import { firstPreviousRoot, parseLink } from '../../core/round.ts';
import type { Queryable } from '../../store/database.ts';
import type { Findings } from '../checks/findings.ts';
import { type RoundAt, RoundCheck, type RoundHeader } from '../checks/rounds.ts';

interface RoundRow {
  number: number;
  closed_at: number;
  root: Uint8Array;
  size: number;
  /** Its leaf; null: the leaves are missing. */
  link: Uint8Array | null;
  /** Of a round of an older release, else null. */
  previous_root: Uint8Array | null;
  beacons: unknown;
}

interface LeafRow {
  round: number;
  index: number;
  leaf: Uint8Array;
  /** The log by which the leaf is found; null: it is not. */
  log: number | null;
  /** The log with the id that the leaf has. */
  own_log: number | null;
  own_name: string | null;
  /** Of the checkpoint that is handed out for it; null: nobody has asked for one yet. */
  checkpoint_root: Uint8Array | null;
}

const ROUNDS = 500;
/** Of a link that cannot be read: no round has it. */
const UNREADABLE = new Uint8Array(32);
const LEAVES = 4_000;
const beaconList = z.array(z.looseObject({ chain: z.string(), height: z.number(), hash: hashHex }));

/** The newest round; null: there is none. */
export async function newestStoredRound(db: Queryable): Promise<RoundAt | null> {
  const { rows } = await db.query<{ number: number; root: Uint8Array; closed_at: number }>(
    'SELECT number, root, closed_at FROM rounds ORDER BY number DESC LIMIT 1',
  );
  const [row] = rows;
  return row === undefined ? null : { number: row.number, root: row.root, closedAt: row.closed_at };
}

/** Walks all rounds. @returns how many there are */
export async function walkRounds(db: Queryable, serviceOrigin: string, findings: Findings): Promise<number> {
  const leaves = new LeafReader(db);
  const check = new RoundCheck(findings, { number: 0, root: firstPreviousRoot(serviceOrigin), closedAt: 0 }, false);
  let count = 0;
  for (;;) {
    const { rows } = await db.query<RoundRow>(
      `SELECT number, closed_at, previous_root, root, size, beacons, link FROM whole_rounds
       WHERE number > $1 ORDER BY number LIMIT $2`,
      [check.last.number, ROUNDS],
    );
    for (const row of rows) {
      count++;
      check.begin(headerOf(row));
      await checkLeaves(row.number, leaves, check, findings);
      check.end();
    }
    if (rows.length < ROUNDS) break;
  }
  await checkOrphans(db, findings);
  await checkUnread(db, findings);
  return count;
}

function headerOf({ number, closed_at, previous_root, root, size, beacons, link }: RoundRow): RoundHeader {
  const header = { number, closedAt: closed_at, root, size };
  if (previous_root !== null) {
    return { ...header, previousRoot: previous_root, beacons: beaconList.safeParse(beacons).data ?? null };
  }
  const read = link === null ? null : parsed(() => parseLink(new Uint8Array(link)));
  const told = read?.beacons.map((beacon) => ({ ...beacon, hash: toHex(beacon.hash) }));
  return { ...header, previousRoot: read?.previousRoot ?? UNREADABLE, beacons: told ?? null };
}

async function checkLeaves(round: number, leaves: LeafReader, check: RoundCheck, findings: Findings): Promise<void> {
  for (let row = await leaves.peek(); row?.round === round; row = await leaves.peek()) {
    leaves.skip();
    if (row.index !== check.leaves) {
      findings.add('round-broken', { round }, `leaf ${check.leaves} of round ${round} is missing`);
    }
    const leaf = check.leaf(row.leaf);
    if (leaf === null || typeof leaf === 'string') continue;
    check.standsFor(leaf, row.own_name, row.checkpoint_root ?? undefined);
    if (row.own_log !== null && row.log === null) {
      const says = `leaf ${row.index} of round ${round} is not found by its log and size, so that no checkpoint of it is signed`;
      findings.add('checkpoint-missing', { round, log: row.own_name }, says);
    }
  }
}

/** Looks for leaves in the table of older releases that belong to no round. */
async function checkOrphans(db: Queryable, findings: Findings): Promise<void> {
  const { rows } = await db.query<{ round: number }>(
    `SELECT round FROM packed_leaves p WHERE NOT EXISTS (SELECT FROM rounds WHERE number = p.round) ORDER BY round LIMIT ${ROUNDS}`,
  );
  for (const { round } of rows) {
    findings.add('round-missing', { round }, `there are leaves of round ${round}, which is missing`);
  }
}

/** Looks for bytes beside rounds that no reader takes for a part of them. */
async function checkUnread(db: Queryable, findings: Findings): Promise<void> {
  const { rows } = await db.query<{ round: number }>(
    `SELECT number AS round FROM rounds r
     WHERE CASE WHEN heads IS NULL THEN num_nonnulls(link_beacons, digests) > 0
                ELSE num_nonnulls(previous_root, beacons) > 0 OR octet_length(heads) % ${HEAD_BYTES} > 0
                     OR EXISTS (SELECT FROM packed_leaves WHERE round = r.number) END
     ORDER BY number LIMIT ${ROUNDS}`,
  );
  for (const { round } of rows) {
    findings.add('round-broken', { round }, `beside round ${round} there is what does not belong to it`);
  }
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

  /**
   * Each leaf is looked up by its log: tables of all rounds are not read for each page. Leaves are cut before they are sorted
   * (`OFFSET 0`): all leaves of the round went through the sort beside each of them.
   */
  async #read(): Promise<void> {
    const { rows } = await this.#db.query<LeafRow>(
      `SELECT p.round, p.index, p.leaf, f.log, o.id AS own_log, o.name AS own_name, c.root AS checkpoint_root
       FROM (SELECT * FROM (SELECT round, index, leaf FROM round_leaves
                            WHERE round >= $1 AND (round, index) > ($1, $2) ORDER BY round OFFSET 0) AS cut
             ORDER BY round, index LIMIT $3) AS p
       LEFT JOIN logs o ON o.log_id = substr(p.leaf, 2, 32)
       LEFT JOIN LATERAL (SELECT log, size FROM round_logs
                          WHERE log = o.id AND size = ('x' || encode(substr(p.leaf, 34, 8), 'hex'))::bit(64)::bigint
                            AND round = p.round AND index = p.index LIMIT 1) AS f ON true
       LEFT JOIN LATERAL (SELECT root FROM checkpoints WHERE log = f.log AND size = f.size LIMIT 1) AS c ON true
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
