// The audit of what a database has of OpenTimestamps: the calendars' answers against the rounds, and the blocks that they
// lead to against Bitcoin.

import type { AuditedSnapshot, DatabaseAudit } from '../anchor/kind.ts';
import type { AnchorFaults, AuditTrust, ChainAnswer, ChainOutcome } from '../core/anchor-audit.ts';
import { sourceFailure } from '../core/anchor-verifier.ts';
import { parseHeader } from '../core/bitcoin-header.ts';
import type { HeaderSource } from '../core/bitcoin-source.ts';
import { equalBytes, fromHex, toHex } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { LruCache } from '../core/lru.ts';
import { blockMoment } from '../core/moment.ts';
import { formatTime } from '../core/time.ts';
import type { Queryable } from '../store/database.ts';
import { readAnswers, type StoredAnswer } from './answers.ts';
import { connect } from './assembly.ts';

/** Blocks, the block itself included, after which a source's word is final. */
const FINAL_BLOCKS = 6;
const MOST_REMEMBERED = 1_000;

export async function openOtsAudit({ headers }: AuditTrust): Promise<DatabaseAudit> {
  return {
    check: async (snapshot) => {
      const { rows } = await snapshot.db.query<{ name: string; chain: string }>(
        "SELECT name, chain FROM targets WHERE kind = 'opentimestamps' ORDER BY name",
      );
      const outcomes: ChainOutcome[] = [];
      for (const { name, chain } of rows) outcomes.push(await checkTarget(snapshot, headers, name, chain));
      return outcomes;
    },
  };
}

async function checkTarget(
  { db, faults, onProgress }: AuditedSnapshot,
  headers: readonly HeaderSource[],
  target: string,
  chain: string,
): Promise<ChainOutcome> {
  const source = headers.find((each) => each.chain === chain);
  const view = source === undefined ? null : new HeaderView(source, faults);
  let confirmed = 0;
  for await (const { round, blocks, faults: found } of storedTimestamps(db, target)) {
    onProgress(`${target} round ${round}`);
    if (blocks.length > 0) confirmed++;
    for (const { where, says } of found) {
      faults.add(where === 'anchor' ? 'anchor-differs' : 'timestamp-broken', { round }, `of round ${round} ${says}`);
    }
    if (found.length === 0) await view?.take(round, blocks);
  }
  return view === null ? { kind: 'no-source', chain, rounds: confirmed } : view.outcome();
}

/** The blocks as the source has them. */
class HeaderView {
  readonly #source: HeaderSource;
  readonly #faults: AnchorFaults;
  /** Rounds that follow each other are mostly in one block. */
  readonly #hashes = new LruCache<number, string | null>(MOST_REMEMBERED);
  #tip: number | null = null;
  #count = 0;
  #newest: ChainAnswer['newest'] = null;
  #failure: string | null = null;

  constructor(source: HeaderSource, faults: AnchorFaults) {
    this.#source = source;
    this.#faults = faults;
  }

  async take(round: number, blocks: readonly StoredBlock[]): Promise<void> {
    if (this.#failure !== null) return;
    try {
      let held: StoredBlock | null = null;
      for (const block of blocks) {
        const hash = await this.#hashAt(block.height);
        if (hash === null) continue;
        if (hash === block.hash) held ??= block;
        else {
          const says = `by ${this.#source.describe()} block ${block.height} is ${hash}, and round ${round} is confirmed by ${block.hash}`;
          this.#faults.add('anchor-missing', { round }, says);
        }
      }
      if (held !== null) this.#hold(round, held);
    } catch (error) {
      if (!(error instanceof AntequemError)) throw error;
      this.#failure = sourceFailure(this.#source, error);
    }
  }

  outcome(): ChainOutcome {
    const { chain, grounds } = this.#source;
    if (this.#failure !== null) return { kind: 'failed', chain, says: this.#failure };
    const answer = { count: this.#count, newest: this.#newest, lost: 0 };
    return { kind: 'asked', chain, node: this.#source.describe(), grounds, answer };
  }

  /** Null: the source has no block there that is deep enough. */
  async #hashAt(height: number): Promise<string | null> {
    this.#tip ??= await this.#source.height();
    if (this.#tip - height + 1 < FINAL_BLOCKS) return null;
    const known = this.#hashes.get(height);
    if (known !== undefined) return known;
    const hash = (await this.#source.header(height))?.hash ?? null;
    this.#hashes.set(height, hash);
    return hash;
  }

  #hold(round: number, { height, hash, time }: StoredBlock): void {
    this.#count++;
    const { chain } = this.#source;
    this.#newest = { round, moment: blockMoment(chain, formatTime(time), { number: height, hash }) };
  }
}

/** A block that the database calls confirmed, and that the answers lead to. */
interface StoredBlock {
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
async function* storedTimestamps(db: Queryable, target: string): AsyncGenerator<StoredTimestamp> {
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
    if (block.block_hash === null) continue;
    if (block.header === null) {
      faults.push({ where: 'timestamp', says: `the header of block ${height} is missing` });
      continue;
    }
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
    `SELECT t.height, t.merkle_root, t.state, b.header, t.block_hash
     FROM ots_requests q JOIN ots_attestations t ON t.request = q.id LEFT JOIN ots_blocks b USING (block_hash)
     WHERE q.target = $1 AND q.round = $2 ORDER BY t.height`,
    [target, round],
  );
  return rows;
}
