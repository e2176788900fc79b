// Walks the rounds in their order: the chain they form, the leaves of each and its root; what they say of logs is put down
// there, to be compared with their entries.

import { compareBytes, equalBytes, fromHex, toHex } from '../../core/bytes.ts';
import { CompactRange } from '../../core/compact-range.ts';
import { hashLeaf } from '../../core/merkle.ts';
import { formatBlockHash } from '../../core/receipt.ts';
import { type CheckpointLeaf, type Link, parseCheckpointLeaf, parseLink } from '../../core/round.ts';
import { TILE_WIDTH } from '../../core/tiles.ts';
import { formatTime, parseTime } from '../../core/time.ts';
import type { Findings } from '../checks/findings.ts';
import { type LeafAnswer, type RoundAnswer, readLeaves, readRound, sameRound } from './answers.ts';
import { formed } from './formed.ts';
import type { Keeper } from './keeper.ts';
import { leavesIn, leavesPath, MOST_DIGESTS, roundPath } from './layout.ts';
import type { AuditedLog, Ledger } from './ledger.ts';
import { readAhead, type Source } from './source.ts';
import type { RoundAt } from './state.ts';

/** Rounds that are asked for before they are needed. */
const DEPTH = 8;
const DIGEST_LEAF = 0x82;
const DIGEST_LEAF_SIZE = 33;
/** Bytes that a leaf takes in memory beside its note. */
const LEAF_COST = 512;

export interface RoundWalkOptions {
  readonly source: Source;
  readonly keeper: Keeper | null;
  readonly ledger: Ledger;
  readonly findings: Findings;
  /** The round before the first that is taken. */
  readonly from: RoundAt;
  /** As the service tells, to read ahead. */
  readonly newest: number;
  /** Rounds up to this one were audited before, and what they say of logs was compared with their entries then. */
  readonly audited: RoundAt | null;
  /** Told each round whose leaves make its root. */
  readonly onRound: (answer: RoundAnswer, at: RoundAt) => Promise<void>;
}

export class RoundWalk {
  readonly #options: RoundWalkOptions;
  readonly #ahead = new Map<number, ReturnType<typeof readRound>>();
  #last: RoundAt;
  #held = 0;

  constructor(options: RoundWalkOptions) {
    this.#options = options;
    this.#last = options.from;
  }

  get last(): RoundAt {
    return this.#last;
  }

  /** Bytes that take what was put down since it was cleared. */
  get held(): number {
    return this.#held;
  }

  clearHeld(): void {
    this.#held = 0;
  }

  /** Takes the next round, as entry `entry` of `_system` tells of it. */
  async take(told: { readonly number: number; readonly root: string; readonly entry: number }): Promise<void> {
    const { findings, keeper, onRound } = this.#options;
    const { number } = told;
    const says = `entry ${told.entry} of _system tells of round ${number}`;
    if (number !== this.#last.number + 1) {
      findings.add('round-differs', { round: number }, `${says}, and round ${this.#last.number + 1} comes next`);
    }
    if (number <= this.#last.number) return;
    const found = await this.#read(number);
    if (found === 'missing' || found === 'broken') {
      if (found === 'missing') findings.add('round-missing', { round: number }, `${says}, which is not served`);
      else findings.add('round-broken', { round: number }, `what is served as round ${number} is none`);
      this.#last = { number, root: fromHex(told.root), closedAt: this.#last.closedAt };
      return;
    }
    const { answer } = found;
    if (answer.root !== told.root) {
      findings.add('round-differs', { round: number }, `${says} with another root than it has`);
    }
    const at = { number, root: fromHex(answer.root), closedAt: parseTime(answer.closedAt) };
    if (await this.#check(answer, at)) await onRound(answer, at);
    keeper?.keep(roundPath(number), found.bytes, (old) => sameRound(old, found.bytes));
    await keeper?.settled();
    this.#compareWithEarlier(at);
    this.#last = at;
  }

  #read(number: number): ReturnType<typeof readRound> {
    const { source, newest } = this.#options;
    for (let next = number; next < number + DEPTH && (next <= newest || next === number); next++) {
      if (this.#ahead.has(next)) continue;
      const reading = readRound(source, next);
      reading.catch(() => {});
      this.#ahead.set(next, reading);
    }
    const reading = this.#ahead.get(number) ?? readRound(source, number);
    this.#ahead.delete(number);
    return reading;
  }

  #compareWithEarlier(at: RoundAt): void {
    const { audited, findings } = this.#options;
    if (audited?.number !== at.number || equalBytes(audited.root, at.root)) return;
    const says = `round ${at.number} has another root than when it was last audited`;
    findings.add('rounds-rewritten', { round: at.number }, says);
  }

  /** No further than all is in order, so that no log comes twice. @returns whether the leaves make the root */
  async #check(answer: RoundAnswer, at: RoundAt): Promise<boolean> {
    const { findings, ledger } = this.#options;
    const { number } = at;
    const broken = (says: string): void => findings.add('round-broken', { round: number }, says);
    if (answer.number !== number) broken(`what is served as round ${number} says that it is round ${answer.number}`);
    const most = 1 + ledger.count + MOST_DIGESTS;
    if (answer.size > most) {
      broken(
        `round ${number} tells of ${answer.size} leaves, and ${ledger.count} logs and digests make ${most} at most`,
      );
      return false;
    }
    const tree = CompactRange.restore(0, []);
    let before: Uint8Array | null = null;
    for await (const { leaf: hex, checkpoint } of this.#leaves(answer)) {
      const leaf = fromHex(hex);
      if (tree.size === 0) this.#checkLink(answer, leaf);
      else {
        // Log ids, and behind them digests: 0x81 before 0x82.
        const key = leaf.subarray(0, 33);
        const order = before === null ? -1 : compareBytes(before, key);
        if (order > 0 || (order === 0 && key[0] !== DIGEST_LEAF)) {
          broken(`leaf ${tree.size} of round ${number} is out of order`);
          return false;
        }
        before = key;
        this.#takeLeaf(at, tree.size, leaf, checkpoint ?? null);
      }
      tree.append(hashLeaf(leaf), () => {});
    }
    if (tree.size !== answer.size) {
      const bundle = Math.floor(tree.size / TILE_WIDTH);
      const due = leavesIn(bundle, answer.size);
      broken(`round ${number} tells of ${answer.size} leaves, and is not served with the ${due} from ${tree.size} on`);
      return false;
    }
    if (equalBytes(tree.root(), at.root)) return true;
    broken(`the leaves of round ${number} do not make its root`);
    return false;
  }

  /** Up to the first bundle that has not as many as it must. */
  async *#leaves(answer: RoundAnswer): AsyncGenerator<LeafAnswer> {
    const { source, keeper } = this.#options;
    const { number, size } = answer;
    if (answer.leaves.length !== leavesIn(0, size)) return;
    yield* answer.leaves;
    const further = Math.ceil(size / TILE_WIDTH) - 1;
    const bundles = readAhead(2, (n) => (n < further ? readLeaves(source, number, n + 1) : null));
    for (let n = 1; n <= further; n++) {
      const bundle = await bundles.next();
      if (bundle?.leaves.length !== leavesIn(n, size)) return;
      yield* bundle.leaves;
      keeper?.keep(leavesPath(number, n), bundle.bytes);
      await keeper?.settled();
    }
  }

  #checkLink(answer: RoundAnswer, leaf: Uint8Array): void {
    const { findings, from } = this.#options;
    const { number } = answer;
    const broken = (says: string): void => findings.add('link-broken', { round: number }, says);
    const link = formed(() => parseLink(leaf));
    if (link === null || !sameLink(link, answer)) {
      broken(`the link of round ${number} does not say what is told of number, close, predecessor and beacons`);
    }
    const previous = fromHex(answer.previousRoot);
    if (number === this.#last.number + 1 && !equalBytes(previous, this.#last.root)) {
      if (number === from.number + 1 && number > 1) {
        const says = `round ${number} does not name the root that round ${from.number} had when it was last audited`;
        findings.add('rounds-rewritten', { round: number }, says);
      } else {
        const before =
          number === 1 ? 'the first round names another origin' : `it does not name the root of round ${number - 1}`;
        broken(`round ${number} does not follow: ${before}`);
      }
    }
    if (parseTime(answer.closedAt) < this.#last.closedAt) {
      broken(`round ${number} was closed before the round before it`);
    }
  }

  #takeLeaf(at: RoundAt, index: number, leaf: Uint8Array, note: string | null): void {
    const { findings, ledger } = this.#options;
    if (leaf[0] === DIGEST_LEAF && leaf.length === DIGEST_LEAF_SIZE) return;
    const round = at.number;
    const where = `leaf ${index} of round ${round}`;
    const parsed = formed(() => parseCheckpointLeaf(leaf));
    if (parsed === null) {
      findings.add('round-broken', { round }, `${where} is neither a checkpoint nor a digest`);
      return;
    }
    const log = ledger.withId(parsed.logId);
    if (log === null) {
      findings.add('leaf-differs', { round }, `${where} is of a log that _system does not tell of`);
    } else this.#put(log, at, leaf, parsed, note);
  }

  #put(log: AuditedLog, at: RoundAt, leaf: Uint8Array, { size, root }: CheckpointLeaf, note: string | null): void {
    const { findings, audited } = this.#options;
    const round = at.number;
    const before = log.leaves.at(-1)?.size ?? log.covered;
    if (size <= before) {
      // It was compared then; that the round still is the same one its root tells.
      if (audited !== null && round <= audited.number && size <= log.covered) return;
      const says = `${log.name} has ${size} entries in round ${round}, and had ${before} in a round before`;
      findings.add('leaf-differs', { round }, says);
      return;
    }
    log.leaves.push({ size, round, leaf, closed_at: at.closedAt });
    this.#held += LEAF_COST + 2 * (note?.length ?? 0);
    if (note === null) {
      const says = `the checkpoint of ${log.name} at size ${size}, which round ${round} has, is not served`;
      findings.add('checkpoint-missing', { round, log: log.name }, says);
    } else log.checkpoints.push({ size, root, note });
    const last = this.#last;
    if (last.number > 0) log.floors.push({ index: before, time: last.closedAt, round: last.number });
  }
}

function sameLink(link: Link, answer: RoundAnswer): boolean {
  const beacons = link.beacons.map(({ chain, height, hash }) => ({
    chain,
    height,
    hash: formatBlockHash(chain, hash),
  }));
  return (
    link.number === answer.number &&
    formed(() => formatTime(link.closedAt)) === answer.closedAt &&
    toHex(link.previousRoot) === answer.previousRoot &&
    JSON.stringify(beacons) ===
      JSON.stringify(answer.beacons.map(({ chain, height, hash }) => ({ chain, height, hash })))
  );
}
