// Walks the rounds that a service shows, in their order. What they say of logs is put down with the logs, to be compared
// with their entries.

import type { FirstEntry } from '../../core/anchor-audit.ts';
import { fromHex } from '../../core/bytes.ts';
import { parseCheckpoint } from '../../core/checkpoint.ts';
import { parsed } from '../../core/errors.ts';
import { parseNote } from '../../core/note.ts';
import type { CheckpointLeaf } from '../../core/round.ts';
import { TILE_WIDTH } from '../../core/tiles.ts';
import { parseTime } from '../../core/time.ts';
import type { ActOf } from '../checks/acts.ts';
import type { Findings } from '../checks/findings.ts';
import { RecordedRounds, type RoundAt, RoundCheck, type RoundHeader } from '../checks/rounds.ts';
import { floorOf } from '../checks/vouchers.ts';
import { type LeafAnswer, readShownLeaves, readShownRound, type ShownRound, sameRound } from './answers.ts';
import type { Keeper } from './keeper.ts';
import { leavesIn, leavesPath, MOST_DIGESTS, roundPath } from './layout.ts';
import type { ShownLog, ShownLogs } from './shown-logs.ts';
import { type AuditSource, readAhead } from './source.ts';

/** Rounds that are asked for before they are needed. */
const DEPTH = 8;
/** What a leaf takes in memory beside its note. */
const LEAF_COST_BYTES = 512;

export interface RoundWalkOptions {
  readonly source: AuditSource;
  readonly keeper: Keeper | null;
  readonly logs: ShownLogs;
  readonly findings: Findings;
  /** The round before the first that is taken. */
  readonly from: RoundAt;
  /** As the service tells. */
  readonly newest: number;
  /** Rounds up to this one were audited before, and what they say of logs was compared with their entries then. */
  readonly audited: RoundAt | null;
  /** Called with each round whose leaves make its root, and the first entry that it vouches for, if that is known. */
  readonly onRound: (answer: ShownRound, at: RoundAt, first: FirstEntry | null) => Promise<void>;
}

export class RoundWalk {
  readonly #options: RoundWalkOptions;
  readonly #check: RoundCheck;
  readonly #recorded: RecordedRounds;
  readonly #ahead = new Map<number, ReturnType<typeof readShownRound>>();
  #held = 0;
  /** The first entry that the round at hand vouches for. */
  #first: FirstEntry | null = null;

  constructor(options: RoundWalkOptions) {
    const { findings, from } = options;
    this.#options = options;
    this.#check = new RoundCheck(findings, from, from.number > 0);
    this.#recorded = new RecordedRounds(findings, from.number);
  }

  get last(): RoundAt {
    return this.#check.last;
  }

  /** Bytes that take what was put down since it was cleared. */
  get held(): number {
    return this.#held;
  }

  clearHeld(): void {
    this.#held = 0;
  }

  /** Takes the next round, as an act tells of it. */
  async take(act: ActOf<'round-closed'>): Promise<void> {
    const { findings, keeper, onRound, newest, audited } = this.#options;
    const { number } = act;
    const recorded = fromHex(act.root);
    const again = number <= this.last.number;
    const found = again ? 'broken' : await this.#read(number);
    if (found === 'missing' || found === 'broken') {
      this.#recorded.take(act, found === 'missing' ? null : recorded, newest);
      if (again) return;
      if (found === 'broken') {
        findings.add('round-broken', { round: number }, `what is served as round ${number} is not a round`);
      }
      this.#check.skip({ number, root: recorded });
      return;
    }
    const { answer, bytes } = found;
    this.#recorded.take(act, fromHex(answer.root), newest);
    const header = headerOf(number, answer);
    this.#first = null;
    if (await this.#checkRound(answer, header)) await onRound(answer, header, this.#first);
    keeper?.keep(roundPath(number), bytes, (old) => sameRound(old, bytes));
    await keeper?.settled();
    if (audited?.number !== number || Buffer.compare(audited.root, header.root) === 0) return;
    const says = `round ${number} has another root than when it was last audited`;
    findings.add('rounds-rewritten', { round: number }, says);
  }

  /** Once all acts were read. */
  finish(): void {
    const { newest } = this.#options;
    this.#recorded.finish(newest > this.last.number ? this.last.number + 1 : null);
  }

  #read(number: number): ReturnType<typeof readShownRound> {
    const { source, newest } = this.#options;
    for (let next = number; next < number + DEPTH && (next <= newest || next === number); next++) {
      if (this.#ahead.has(next)) continue;
      const reading = readShownRound(source, next);
      reading.catch(() => {});
      this.#ahead.set(next, reading);
    }
    const reading = this.#ahead.get(number) ?? readShownRound(source, number);
    this.#ahead.delete(number);
    return reading;
  }

  /** No further than all is in order, so that no log comes twice. @returns whether the leaves make the root */
  async #checkRound(answer: ShownRound, header: RoundHeader): Promise<boolean> {
    const { findings, logs } = this.#options;
    const { number } = header;
    const check = this.#check;
    const before = check.last;
    const broken = (says: string): void => findings.add('round-broken', { round: number }, says);
    check.begin(header, true);
    if (answer.number !== number) broken(`what is served as round ${number} says that it is round ${answer.number}`);
    const most = 1 + logs.count + MOST_DIGESTS;
    if (answer.size > most) {
      broken(`round ${number} tells of ${answer.size} leaves, and ${logs.count} logs and digests make ${most} at most`);
      check.skip(header, header.closedAt);
      return false;
    }
    for await (const { leaf: hex, checkpoint } of this.#leaves(number, answer)) {
      const bytes = fromHex(hex);
      const leaf = check.leaf(bytes);
      if (!check.sound) break;
      if (leaf === null || typeof leaf === 'string') continue;
      const log = logs.withId(leaf.logId);
      const signed = checkpoint === undefined ? null : (rootOf(checkpoint, leaf) ?? leaf.root);
      check.standsFor(leaf, log?.name ?? null, signed);
      if (log === null) continue;
      this.#put(log, header, before, bytes, leaf);
      if (signed === null || checkpoint === undefined || log.leaves.at(-1)?.round !== number) continue;
      log.checkpoints.push({ size: leaf.size, root: signed, note: checkpoint });
      this.#held += 2 * checkpoint.length;
    }
    return check.end();
  }

  /** Up to the first bundle that has not as many as it must. */
  async *#leaves(number: number, { size, leaves }: ShownRound): AsyncGenerator<LeafAnswer> {
    const { source, keeper } = this.#options;
    if (leaves.length !== leavesIn(0, size)) return;
    yield* leaves;
    const further = Math.ceil(size / TILE_WIDTH) - 1;
    const bundles = readAhead(2, (n) => (n < further ? readShownLeaves(source, number, n + 1) : null));
    for (let n = 1; n <= further; n++) {
      const bundle = await bundles.next();
      if (bundle?.leaves.length !== leavesIn(n, size)) return;
      yield* bundle.leaves;
      keeper?.keep(leavesPath(number, n), bundle.bytes);
      await keeper?.settled();
    }
  }

  /** Puts a leaf down with its log. @param before the round before */
  #put(log: ShownLog, at: RoundAt, before: RoundAt, leaf: Uint8Array, { size }: CheckpointLeaf): void {
    const { findings, audited } = this.#options;
    const round = at.number;
    const covered = log.leaves.at(-1)?.size ?? log.covered;
    if (size <= covered) {
      // It was compared in an earlier audit; the root of the round tells that the leaf still is the same.
      if (audited !== null && round <= audited.number && size <= log.covered) return;
      const says = `${log.name} has ${size} entries in round ${round}, and had ${covered} in a round before`;
      findings.add('leaf-differs', { round }, says);
      return;
    }
    if (this.#first === null || comesBefore(log.name, this.#first.log)) this.#first = { log: log.name, index: covered };
    log.leaves.push({ size, round, leaf, closedAt: at.closedAt });
    log.floors.push(...floorOf(covered, before));
    this.#held += LEAF_COST_BYTES;
  }
}

function headerOf(number: number, answer: ShownRound): RoundHeader {
  const { root, closedAt, previousRoot, size, beacons } = answer;
  return {
    number,
    root: fromHex(root),
    closedAt: parseTime(closedAt),
    previousRoot: fromHex(previousRoot),
    size,
    beacons,
  };
}

/** Names of users' logs come before those of the service. */
function comesBefore(one: string, other: string): boolean {
  const [a, b] = [one, other].map((name) => Number(name.startsWith('_')));
  return a === b ? one < other : a === 0;
}

/** The root that a note says for the size of a leaf; null where it does not. */
function rootOf(note: string, { size }: CheckpointLeaf): Uint8Array | null {
  const checkpoint = parsed(() => parseCheckpoint(parseNote(note).text));
  return checkpoint?.size === size ? checkpoint.root : null;
}
