// Takes logs on: to where rounds reach, and to their heads.

import { equalBytes } from '../../core/bytes.ts';
import { beginningOf, type Floor, type LogPosition } from '../checks/entry-chain.ts';
import type { Findings } from '../checks/findings.ts';
import type { RoundAt } from '../checks/rounds.ts';
import { checkSignedNote, floorOf } from '../checks/vouchers.ts';
import type { Heads, ShownHead } from './heads.ts';
import type { Keeper } from './keeper.ts';
import { walkShownLog } from './shown-log-walk.ts';
import type { ShownLog } from './shown-logs.ts';
import type { AuditSource } from './source.ts';

export interface WalkerOptions {
  readonly source: AuditSource;
  readonly keeper: Keeper | null;
  readonly findings: Findings;
  readonly heads: Heads;
  /** Told how many entries are about to be walked. */
  readonly onBegin: (entries: number) => void;
  /** Told of entries that were walked; what is found in order so far stands in the log. */
  readonly onWalked: (log: ShownLog, entries: number) => Promise<void>;
}

type Commitment = (index: number) => Uint8Array | null;

/** Logs that are walked at once. */
const LOGS_AT_ONCE = 4;

export class Walker {
  /** Checkpoints whose signature was checked. */
  checkpoints = 0;
  readonly #options: WalkerOptions;

  constructor(options: WalkerOptions) {
    this.#options = options;
  }

  /** Takes logs to the last entry that rounds tell of, and compares what they tell. */
  async toRounds(logs: Iterable<ShownLog>): Promise<void> {
    await each(logs, (log) => this.toRound(log));
  }

  /** @param commitment what entries should commit to, where that is known */
  async toRound(log: ShownLog, commitment?: Commitment): Promise<void> {
    const last = log.leaves.at(-1);
    if (last === undefined) return;
    if (!log.broken) await this.#toRound(log, last, commitment);
    // Of a log that is broken, too: more comes with every round.
    log.leaves = [];
    log.checkpoints = [];
    log.floors = [];
  }

  async #toRound(log: ShownLog, last: ShownLog['leaves'][number], commitment?: Commitment): Promise<void> {
    const { findings, heads } = this.#options;
    const head = await heads.of(log);
    if (head === null) {
      log.broken = true;
      return;
    }
    if (head.size < last.size) {
      const says = `round ${last.round} took in ${last.size} entries of ${log.name}, whose checkpoint tells of ${head.size}`;
      findings.add('log-cut-off', { log: log.name, index: head.size, round: last.round }, says);
      log.broken = true;
      return;
    }
    const { leaves, checkpoints, floors } = log;
    await this.#walk(log, head, last.size, { leaves, checkpoints, floors, commitment }, leaves[0]?.size ?? last.size);
    this.checkpoints += checkpoints.length;
  }

  /**
   * Takes logs to their heads.
   * @param last the newest round: what is in no round yet is newer than it
   * @param since how many rounds an earlier audit knew
   */
  async toHeads(logs: Iterable<ShownLog>, last: RoundAt, since: number): Promise<void> {
    await each(logs, (log) => this.toHead(log, last, since));
  }

  async toHead(log: ShownLog, last: RoundAt, since: number): Promise<void> {
    const { findings, heads } = this.#options;
    const head = log.broken ? null : await heads.of(log);
    if (head === null) {
      log.broken = true;
      return;
    }
    const known = Math.max(log.position.size, log.memory?.position.size ?? 0);
    if (head.size < known) {
      const says = `${log.name} had ${known} entries when it was last audited, and its checkpoint tells of ${head.size}`;
      findings.add('log-cut-off', { log: log.name, index: head.size }, says);
      log.broken = true;
      return;
    }
    this.checkpoints++;
    // Entries that an earlier audit read may be in none of the rounds that closed since.
    const floors = floorOf(log.covered, last);
    const uncovered = last.number > since && log.position === log.memory?.position && log.covered < log.position.size;
    if (head.size === log.position.size && !uncovered) {
      // A key may have been retired before the last entry was received.
      if (equalBytes(head.root, log.position.root))
        return checkSignedNote(log, head, log.position.receivedAt, findings);
      const says = `the checkpoint of ${log.name} at size ${head.size} has another root than its entries had when they were audited`;
      findings.add('log-rewritten', { log: log.name }, says);
      log.broken = true;
      return;
    }
    await this.#walk(
      log,
      head,
      head.size,
      { leaves: [], checkpoints: [head], floors },
      uncovered ? log.covered : head.size,
    );
  }

  /** Takes a log to some size, without anything that vouches for it there. */
  async to(log: ShownLog, size: number, commitment: Commitment): Promise<void> {
    const head = log.broken || log.position.size >= size ? null : await this.#options.heads.of(log);
    if (head === null || head.size < size) return;
    await this.#walk(log, head, size, { leaves: [], checkpoints: [], floors: [], commitment }, size);
  }

  /** @param first the first size that must not be passed over */
  async #walk(
    log: ShownLog,
    head: ShownHead,
    end: number,
    what: {
      readonly leaves: ShownLog['leaves'];
      readonly checkpoints: ShownLog['checkpoints'];
      readonly floors: readonly Floor[];
      readonly commitment?: Commitment | undefined;
    },
    first: number,
  ): Promise<void> {
    const { source, keeper, findings, onWalked } = this.#options;
    const { leaves, checkpoints, floors, commitment } = what;
    const from = beginOf(log, first);
    this.#options.onBegin(end - from.size);
    let next = 0;
    const advance = (position: LogPosition): void => {
      if (position.size >= log.position.size) log.position = position;
      if (leaves.length === 0) return;
      for (; (leaves[next]?.size ?? Number.POSITIVE_INFINITY) <= position.size; next++) {
        log.covered = leaves[next]?.size ?? log.covered;
      }
      if (position.size >= log.rounded.size) log.rounded = position;
    };
    const position = await walkShownLog({
      source,
      keeper,
      log,
      findings,
      head,
      from,
      beginning: beginningOf(log),
      remembered: from === log.memory?.position || from === log.memory?.rounded,
      end,
      vouchers: { leaves, checkpoints },
      known: [log.position, ...(log.memory === null ? [] : [log.memory.position])].sort((a, b) => a.size - b.size),
      floors,
      ...(commitment === undefined ? {} : { commitment }),
      onPosition: async (entries, position) => {
        if (!findings.concern(log.name)) advance(position());
        await onWalked(log, entries);
      },
    });
    if (position === null) log.broken = true;
    else advance(position);
  }
}

/**
 * Where to begin so that nothing that rounds say is passed over: what lies between the newest round and where an earlier
 * audit came to is walked again where a round ends in it.
 */
function beginOf(log: ShownLog, first: number): LogPosition {
  if (first >= log.position.size) return log.position;
  return first >= log.rounded.size ? log.rounded : beginningOf(log);
}

async function each(logs: Iterable<ShownLog>, work: (log: ShownLog) => Promise<void>): Promise<void> {
  const iterator = logs[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (let next = iterator.next(); next.done !== true; next = iterator.next()) await work(next.value);
  };
  await Promise.all(Array.from({ length: LOGS_AT_ONCE }, worker));
}
