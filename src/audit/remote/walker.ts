// Takes logs on: to where rounds reach, and to their heads.

import { equalBytes } from '../../core/bytes.ts';
import { parseNote } from '../../core/note.ts';
import type { Findings } from '../checks/findings.ts';
import type { Position } from '../database/log-walk.ts';
import type { Floor } from './bundle-walk.ts';
import type { Head, Heads } from './heads.ts';
import type { Keeper } from './keeper.ts';
import { type AuditedLog, beginningOf } from './ledger.ts';
import { walkLog } from './log-walk.ts';
import type { Source } from './source.ts';
import type { RoundAt } from './state.ts';

export interface WalkerOptions {
  readonly source: Source;
  readonly keeper: Keeper | null;
  readonly findings: Findings;
  readonly heads: Heads;
  /** Told how many entries are about to be walked. */
  readonly onBegin: (entries: number) => void;
  /** Told of entries that were walked; what is found in order so far stands in the log. */
  readonly onWalked: (log: AuditedLog, entries: number) => Promise<void>;
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
  async toRounds(logs: Iterable<AuditedLog>): Promise<void> {
    await each(logs, (log) => this.toRound(log));
  }

  /** @param commitment what entries should commit to, where that is known */
  async toRound(log: AuditedLog, commitment?: Commitment): Promise<void> {
    const last = log.leaves.at(-1);
    if (last === undefined) return;
    if (!log.broken) await this.#toRound(log, last, commitment);
    // Of a log that is broken, too: more comes with every round.
    log.leaves = [];
    log.checkpoints = [];
    log.floors = [];
  }

  async #toRound(log: AuditedLog, last: AuditedLog['leaves'][number], commitment?: Commitment): Promise<void> {
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
    await this.#walk(log, head, last.size, { leaves, checkpoints, floors, commitment });
    this.checkpoints += checkpoints.length;
  }

  /** Takes logs to their heads. @param last the newest round, which has none of what comes behind it in a log */
  async toHeads(logs: Iterable<AuditedLog>, last: RoundAt): Promise<void> {
    await each(logs, (log) => this.toHead(log, last));
  }

  async toHead(log: AuditedLog, last: RoundAt, commitment?: Commitment): Promise<void> {
    const { findings, heads } = this.#options;
    const head = log.broken ? null : await heads.of(log);
    if (head === null) {
      log.broken = true;
      return;
    }
    const known = Math.max(log.position.size, log.known?.size ?? 0);
    if (head.size < known) {
      const says = `${log.name} had ${known} entries when it was last audited, and its checkpoint tells of ${head.size}`;
      findings.add('log-cut-off', { log: log.name, index: head.size }, says);
      log.broken = true;
      return;
    }
    this.checkpoints++;
    if (head.size === log.position.size) {
      if (equalBytes(head.root, log.position.root)) return this.#checkSignature(log, head);
      const says = `the checkpoint of ${log.name} at size ${head.size} has another root than its entries had when they were audited`;
      findings.add('log-rewritten', { log: log.name }, says);
      log.broken = true;
      return;
    }
    const floors = last.number > 0 ? [{ index: log.covered, time: last.closedAt, round: last.number }] : [];
    await this.#walk(log, head, head.size, { leaves: [], checkpoints: [head], floors, commitment });
  }

  /** By a key that had not been retired when the last entry was received. */
  async #checkSignature(log: AuditedLog, { size, note }: Head): Promise<void> {
    const { receivedAt } = log.position;
    if (await log.keys.signed(parseNote(note), log.origin, { size, receivedAt })) return;
    const says = `the signature of ${log.name} at size ${size} does not hold`;
    this.#options.findings.add('signature-broken', { log: log.name }, says);
  }

  /** Takes a log to some size, without anything that vouches for it there. */
  async to(log: AuditedLog, size: number, commitment: Commitment): Promise<void> {
    const head = log.broken || log.position.size >= size ? null : await this.#options.heads.of(log);
    if (head === null || head.size < size) return;
    await this.#walk(log, head, size, { leaves: [], checkpoints: [], floors: [], commitment });
  }

  async #walk(
    log: AuditedLog,
    head: Head,
    end: number,
    what: {
      readonly leaves: AuditedLog['leaves'];
      readonly checkpoints: AuditedLog['checkpoints'];
      readonly floors: readonly Floor[];
      readonly commitment: Commitment | undefined;
    },
  ): Promise<void> {
    const { source, keeper, findings, onWalked } = this.#options;
    const { leaves, checkpoints, floors, commitment } = what;
    const from = beginOf(log, leaves[0]?.size ?? end);
    this.#options.onBegin(end - from.size);
    let next = 0;
    const advance = (position: Position): void => {
      if (position.size >= log.position.size) log.position = position;
      if (leaves.length === 0) return;
      for (; (leaves[next]?.size ?? Number.POSITIVE_INFINITY) <= position.size; next++) {
        log.covered = leaves[next]?.size ?? log.covered;
      }
      if (position.size >= log.rounded.size) log.rounded = position;
    };
    const earlier = [log.position, ...(log.known === null ? [] : [log.known])].sort((a, b) => a.size - b.size);
    const position = await walkLog({
      source,
      keeper,
      log,
      keys: log.keys,
      findings,
      size: head.size,
      from,
      end,
      vouchers: { leaves, checkpoints, known: earlier.filter(({ size }) => size > from.size) },
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
function beginOf(log: AuditedLog, first: number): Position {
  if (first >= log.position.size) return log.position;
  return first >= log.rounded.size ? log.rounded : beginningOf(log);
}

async function each(logs: Iterable<AuditedLog>, work: (log: AuditedLog) => Promise<void>): Promise<void> {
  const iterator = logs[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (let next = iterator.next(); next.done !== true; next = iterator.next()) await work(next.value);
  };
  await Promise.all(Array.from({ length: LOGS_AT_ONCE }, worker));
}
