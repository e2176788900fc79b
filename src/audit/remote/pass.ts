// One pass over all that a service shows: its acts and rounds in their order, and each log as far as they reach.

import type { Declared } from '../../core/anchor-audit.ts';
import type { Verifier } from '../../core/note.ts';
import { SYSTEM_LOG } from '../../core/origin.ts';
import { firstPreviousRoot } from '../../core/round.ts';
import { beginningOf } from '../checks/entry-chain.ts';
import type { Findings } from '../checks/findings.ts';
import type { RoundAt } from '../checks/rounds.ts';
import { UnconfirmedHolds } from '../checks/unconfirmed-holds.ts';
import { ActReader } from './acts.ts';
import type { Anchoring } from './anchoring.ts';
import { sameRoot } from './anchoring.ts';
import { readShownRound, sameRound } from './answers.ts';
import { Heads } from './heads.ts';
import type { Keeper } from './keeper.ts';
import { roundPath } from './layout.ts';
import { LogActs } from './log-acts.ts';
import { RoundWalk } from './rounds.ts';
import { checkSecondSignatures } from './second-signatures.ts';
import { memoryOf, type ShownLog, ShownLogs } from './shown-logs.ts';
import { type AuditSource, isSourceFailure } from './source.ts';
import type { KeyMemory, MirrorState } from './state.ts';
import { Walker } from './walker.ts';

export interface PassOptions {
  readonly source: AuditSource;
  readonly keeper: Keeper | null;
  readonly state: MirrorState;
  readonly findings: Findings;
  readonly serviceOrigin: string;
  /** The keys of `_system` that are known or named, and those of them that are gone by. */
  readonly systemKeys: readonly KeyMemory[];
  readonly anchors: readonly Uint8Array[];
  /** Keys of logs that are known otherwise. */
  readonly verifiers: readonly Verifier[];
  /** Rounds that the service tells of. */
  readonly newest: number;
  readonly anchoring: Anchoring;
  /** Whether rounds and acts are read from the first on, although an earlier audit had read them. */
  readonly all: boolean;
  readonly holding: Holding;
  readonly onProgress: (at: string, entries: number, total: number) => void;
  /** Told where the state may be saved. */
  readonly onSafe: () => Promise<void>;
}

export interface PassResult {
  readonly logs: number;
  /** Entries that were walked. */
  readonly entries: number;
  /** Entries that an earlier audit had walked. */
  readonly resumed: number;
  readonly acts: number;
  readonly checkpoints: number;
  /** The newest round. */
  readonly rounds: number;
  /** Entries in no round yet. */
  readonly unrounded: number;
  readonly declared: Declared;
  /** Why the rest could not be read; null: all was. */
  readonly incomplete: string | null;
  readonly heads: Heads;
  /** All logs with the sizes that they had in an earlier audit and have now, `_system` last. */
  readonly walked: readonly {
    readonly log: ShownLog;
    readonly name: string;
    readonly before: number;
    readonly size: number;
  }[];
}

/** What is held in memory between two looks at the logs. */
export interface Holding {
  /** Acts: their commitments. */
  readonly acts: number;
  /** Bytes that leaves of rounds take with their checkpoints, but for those of the round that goes beyond. */
  readonly bytes: number;
}

export const HOLDING: Holding = { acts: 8_192, bytes: 64 << 20 };

export class Pass {
  readonly #options: PassOptions;
  readonly #logs: ShownLogs;
  readonly #system: ShownLog;
  readonly #heads: Heads;
  readonly #walker: Walker;
  readonly #rounds: RoundWalk;
  readonly #logActs: LogActs;
  readonly #senders: { chain: string; address: string }[];
  /** Rounds that an earlier audit knew. */
  readonly #since: number;
  readonly #unconfirmedHolds: UnconfirmedHolds;
  #recoveredAt: number | null;
  #acts = 0;
  #entries = 0;
  #resumed = 0;
  #total = 0;

  constructor(options: PassOptions) {
    this.#options = options;
    const { source, keeper, state, findings, serviceOrigin, all, anchoring } = options;
    this.#logs = new ShownLogs(serviceOrigin);
    for (const [name, memory] of state.logs) {
      if (name !== SYSTEM_LOG) this.#logs.add(name, memory.keys, memory);
      if (name !== SYSTEM_LOG) this.#resumed += memory.position.size;
    }
    this.#system = this.#logs.add(SYSTEM_LOG, options.systemKeys, state.logs.get(SYSTEM_LOG) ?? null);
    const from = all ? null : state.rounds;
    this.#since = state.rounds?.number ?? 0;
    if (from === null) {
      // Its acts are needed, all of them; what an earlier audit had found of it still is a witness.
      this.#system.position = beginningOf(this.#system);
      this.#system.rounded = this.#system.position;
      this.#system.covered = 0;
    } else this.#resumed += this.#system.position.size;
    this.#senders = from === null ? [] : [...state.senders];
    this.#recoveredAt = from === null ? null : state.recovered;
    this.#unconfirmedHolds = new UnconfirmedHolds(findings, serviceOrigin, from === null ? null : state.unconfirmed);
    const { verifiers, anchors } = options;
    this.#logActs = new LogActs({ serviceOrigin, logs: this.#logs, findings, verifiers, anchors });
    this.#heads = new Heads(source, findings);
    this.#walker = new Walker({
      source,
      keeper,
      findings,
      heads: this.#heads,
      onBegin: (entries) => {
        this.#total += entries;
      },
      onWalked: (log, entries) => this.#walked(log, entries),
    });
    this.#rounds = new RoundWalk({
      source,
      keeper,
      logs: this.#logs,
      findings,
      from: from ?? { number: 0, root: firstPreviousRoot(serviceOrigin), closedAt: 0 },
      newest: options.newest,
      audited: state.reading ?? state.rounds,
      onRound: (answer, at, first) => anchoring.take(answer, at, first),
    });
  }

  /** @throws AntequemError what the source fails with while nothing was found */
  async run(): Promise<PassResult> {
    try {
      await this.#read();
      return await this.#result(null);
    } catch (error) {
      // What was found stands, although the rest cannot be read.
      if (this.#options.findings.count === 0 || !isSourceFailure(error)) throw error;
      return this.#result(error.message);
    }
  }

  async #read(): Promise<void> {
    await this.#revisit();
    const head = await this.#heads.of(this.#system);
    if (head === null) this.#system.broken = true;
    else await this.#readActs(head.size);
    if (head !== null) this.#rounds.finish();
    await this.#walker.toHeads(this.#others(), this.#rounds.last, this.#since);
    this.#logActs.finish(this.#system);
    const { source, serviceOrigin, findings } = this.#options;
    const [logs, system, heads] = [this.#logs.all(), this.#system, this.#heads];
    await checkSecondSignatures({ source, serviceOrigin, logs, system, heads, findings });
  }

  /** All logs but `_system`. */
  #others(): ShownLog[] {
    return [...this.#logs.all()].filter((log) => log !== this.#system);
  }

  /** Rounds that an earlier audit left open: their anchors may be there by now. */
  async #revisit(): Promise<void> {
    const { anchoring, source, keeper, findings } = this.#options;
    for (const round of anchoring.open) {
      const found = await readShownRound(source, round.number);
      if (typeof found === 'string' || !sameRoot(found.answer, round)) {
        const says =
          found === 'missing'
            ? `round ${round.number}, which was audited before, is not served any more`
            : `round ${round.number} has another root than when it was last audited`;
        findings.add('rounds-rewritten', { round: round.number }, says);
        continue;
      }
      await anchoring.take(found.answer, round, null);
      keeper?.keep(roundPath(round.number), found.bytes, (old) => sameRound(old, found.bytes));
      await keeper?.settled();
    }
  }

  async #readActs(size: number): Promise<void> {
    const { source, keeper, findings } = this.#options;
    const system = this.#system;
    const acts = new ActReader(source, keeper, findings, system.position.size, size);
    for (let ended = false; !ended; ) {
      ended = await this.#readWindow(acts);
      const commitments = acts.takeCommitments();
      const commitment = (index: number): Uint8Array | null => commitments.get(index) ?? null;
      this.#options.state.reading = this.#later(this.#rounds.last);
      await this.#walker.toRound(system, commitment);
      await this.#walker.to(system, acts.next, commitment);
      const due = [...this.#logs.all()].filter((log) => log !== system && log.leaves.length > 0);
      await this.#walker.toRounds(due);
      this.#rounds.clearHeld();
      await this.#commit(acts.next);
    }
    await this.#walker.toHead(system, this.#rounds.last, this.#since);
  }

  /** Reads acts and the rounds they tell of, as many as may be held. @returns whether there are no more */
  async #readWindow(acts: ActReader): Promise<boolean> {
    const { holding } = this.#options;
    for (let read = 0; read < holding.acts && this.#rounds.held < holding.bytes; read++) {
      const act = await acts.read();
      if (act === undefined) return true;
      this.#acts++;
      if (act === null) continue;
      this.#unconfirmedHolds.take(act);
      if (act.act === 'round-closed') {
        await this.#rounds.take(act);
        this.#report(`round ${act.number}`);
      } else if (act.act === 'sender-declared') this.#senders.push({ chain: act.chain, address: act.address });
      else if (act.act === 'recovered') this.#recoveredAt = act.at;
      else this.#logActs.take(act);
    }
    return false;
  }

  /** What is walked and verified up to here need not be again. */
  async #commit(acts: number): Promise<void> {
    const { state, findings, onSafe } = this.#options;
    // A pass over all acts anew knows less than is remembered until it has come as far.
    if (findings.count === 0 && acts >= (this.#system.memory?.position.size ?? 0)) {
      state.rounds = this.#later(this.#rounds.last);
      state.reading = null;
      state.senders = this.#senders;
      state.recovered = this.#recoveredAt;
      state.unconfirmed = this.#unconfirmedHolds.since;
      for (const log of this.#logs.all()) this.#remember(log);
    }
    await onSafe();
  }

  /** A pass over all rounds anew does not forget that later ones were read. */
  #later(round: RoundAt): RoundAt {
    const { rounds, reading } = this.#options.state;
    const known = [rounds, reading].filter((each) => each !== null);
    return known.reduce((last, each) => (each.number > last.number ? each : last), round);
  }

  #remember(log: ShownLog): void {
    const { state, findings } = this.#options;
    if (log.broken || findings.concern(log.name)) return;
    const known = log.memory?.position;
    const memory = memoryOf(log);
    const position = known !== undefined && known.size > memory.position.size ? known : memory.position;
    state.logs.set(log.name, { ...memory, position });
  }

  async #walked(log: ShownLog, entries: number): Promise<void> {
    this.#entries += entries;
    this.#report(log.name);
    if (this.#options.findings.count > 0 || log === this.#system) return;
    this.#remember(log);
    await this.#options.onSafe();
  }

  #report(at: string): void {
    this.#options.onProgress(at, this.#entries, Math.max(this.#total, this.#entries));
  }

  async #result(incomplete: string | null): Promise<PassResult> {
    const others = this.#others();
    let unrounded = 0;
    for (const log of incomplete === null ? others : []) {
      const head = log.broken ? null : await this.#heads.of(log);
      if (head !== null) unrounded += head.size - log.covered;
      this.#remember(log);
    }
    return {
      logs: this.#logs.count,
      entries: this.#entries,
      resumed: this.#resumed,
      acts: this.#acts,
      checkpoints: this.#walker.checkpoints,
      rounds: this.#rounds.last.number,
      unrounded,
      declared: {
        senders: this.#senders,
        recoveredAt: this.#recoveredAt,
        until: this.#options.source.copy === true ? this.#rounds.last.closedAt : undefined,
      },
      incomplete,
      heads: this.#heads,
      walked: [...others, this.#system].map((log) => ({
        log,
        name: log.name,
        before: log.memory?.position.size ?? 0,
        size: log.position.size,
      })),
    };
  }
}
