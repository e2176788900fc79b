// The audit of a service by its database: everything in it is read once, in one snapshot, and nothing is written.

import type { AnchorKinds, DatabaseAudit } from '../../anchor/kind.ts';
import type { AuditTrust, ChainOutcome } from '../../core/anchor-audit.ts';
import { equalBytes } from '../../core/bytes.ts';
import { AntequemError } from '../../core/errors.ts';
import type { Verifier } from '../../core/note.ts';
import { logId, logOrigin, SYSTEM_LOG } from '../../core/origin.ts';
import type { Verdict } from '../../core/verdict.ts';
import type { LogSeed } from '../../log/seed.ts';
import type { Database, Transaction } from '../../store/database.ts';
import { type Finding, Findings } from '../checks/findings.ts';
import { checkSystemKeys, type KnownKeys } from './log-keys.ts';
import { type AuditedLog, readLog, readLogs } from './log-state.ts';
import { type LogWalk, walkLog } from './log-walk.ts';
import { checkSegments } from './placement.ts';
import { type AuditState, resumeAt } from './resume.ts';
import { walkRounds } from './rounds.ts';
import { SystemActs } from './system-acts.ts';
import { type AuditCounts, auditVerdict } from './verdict.ts';

/** How far an audit has come. */
export interface AuditProgress {
  /** What is being walked: a log, or a part of the rest. */
  readonly at: string;
  readonly entries: number;
  /** Entries there are to walk, as the heads of the logs claim. */
  readonly total: number;
}

/** With what the auditor trusts. */
export interface AuditOptions extends AuditTrust {
  readonly database: Database;
  /** The service's origin. */
  readonly origin: string;
  /** What all keys are derived from; null: unknown to whoever audits. */
  readonly seed: LogSeed | null;
  /** Keys of logs that are known otherwise. */
  readonly verifiers: readonly Verifier[];
  readonly kinds: AnchorKinds;
  /** Where an earlier audit had come to; it is kept up to date. */
  readonly state: AuditState | null;
  readonly onProgress: (progress: AuditProgress) => void;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
}

export interface Audit {
  readonly verdict: Verdict;
  /** The first in front. */
  readonly findings: readonly Finding[];
  readonly counts: AuditCounts;
  /** Milliseconds that the walk over entries took. */
  readonly walked: number;
}

/** Milliseconds between two writings of the state; a large one is written more rarely. */
const SAVE_EVERY = 500;
const SAVING_SHARE = 20;
const LOGS = 500;

/**
 * Audits a database.
 * @throws AntequemError `origin-changed` where the database is that of another service or of none, and what the database
 *   fails with
 */
export async function audit(options: AuditOptions): Promise<Audit> {
  const anchors = await Promise.all(Object.values(options.kinds).map((kind) => kind.openAudit(options)));
  const client = await options.database.connect();
  // A connection that dies fails the query under way; without a listener it would end the process besides.
  client.on('error', () => {});
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    // Many small queries: what compiling them would save is less than it costs.
    await client.query('SET LOCAL jit = off');
    return await new Auditor(client, options).run(anchors);
  } finally {
    await client.query('ROLLBACK').catch(() => {});
    client.release();
  }
}

class Auditor {
  readonly #db: Transaction;
  readonly #options: AuditOptions;
  readonly #findings = new Findings();
  readonly #counts: AuditCounts = { logs: 0, entries: 0, resumed: 0, erased: 0, digests: 0, checkpoints: 0, rounds: 0 };
  readonly #keys: KnownKeys;
  #walked = 0;
  #total = 0;
  #saveAt: number;

  constructor(db: Transaction, options: AuditOptions) {
    this.#db = db;
    this.#options = options;
    this.#keys = { seed: options.seed, verifiers: options.verifiers };
    this.#saveAt = options.clock() + SAVE_EVERY;
  }

  async run(anchors: readonly DatabaseAudit[]): Promise<Audit> {
    const { clock, origin, state, seed, verifiers } = this.#options;
    const began = clock();
    const system = await this.#readSystem();
    const { rows } = await this.#db.query<{ total: number }>(
      'SELECT coalesce(sum(size), 0)::bigint AS total FROM logs',
    );
    this.#total = rows[0]?.total ?? 0;
    // First of all: it tells what else there must be, and what was erased.
    const acts = await this.#walkSystem(system);
    await this.#walkLogs(system, acts);
    const walked = clock() - began;
    await state?.save();
    this.#report('places of entries');
    await checkSegments(this.#db, this.#findings);
    this.#report('rounds');
    this.#counts.rounds = await walkRounds(this.#db, origin, this.#findings);
    const chains: ChainOutcome[] = [];
    for (const kind of anchors) {
      const outcomes = await kind.check({
        db: this.#db,
        faults: this.#findings,
        declared: { senders: acts.accounts.list(), recoveredAt: acts.recoveries.at(-1) ?? null },
        onProgress: (at) => this.#report(at),
      });
      chains.push(...outcomes);
    }
    const findings = this.#findings.list();
    const verdict = auditVerdict({
      counts: this.#counts,
      findings,
      faults: this.#findings.count,
      chains,
      // All other keys are named by `_system`.
      keysKnown: seed !== null || verifiers.some(({ name }) => name === system.origin),
      unrounded: await this.#countUnrounded(),
      recovered: acts.recoveries.length > 0,
    });
    return { verdict, findings, counts: this.#counts, walked };
  }

  async #readSystem(): Promise<AuditedLog> {
    const { origin } = this.#options;
    const system = await readLog(this.#db, SYSTEM_LOG);
    const expected = logOrigin(origin, SYSTEM_LOG);
    if (system?.origin !== expected) {
      throw new AntequemError(
        'origin-changed',
        system === null
          ? 'this database has no log _system: it is not one of a service, or a table was emptied'
          : `this database belongs to ${system.origin}, not to ${expected}: set ORIGIN right`,
      );
    }
    return system;
  }

  async #walkSystem(system: AuditedLog): Promise<SystemActs> {
    const { state } = this.#options;
    const acts = new SystemActs(this.#db, system.origin, this.#findings);
    // An earlier audit is a witness for it too, but its acts are needed: it is walked from the start.
    const known = state?.position(system) ?? null;
    if (known !== null) await resumeAt(this.#db, system, known, this.#findings);
    const walk = await this.#walk(system, {
      keyActs: null,
      erased: new Float64Array(0),
      from: null,
      onPayload: (index, payload) => acts.take(index, payload),
      onPage: () => acts.reconcile(),
    });
    if (walk.firstDigest !== null) {
      const says = `entry ${walk.firstDigest} of _system has no payload`;
      this.#findings.add('act-unreadable', { log: SYSTEM_LOG, index: walk.firstDigest }, says);
    }
    await acts.finish();
    await checkSystemKeys(this.#db, system, walk.keys, this.#keys, acts.logKeys, this.#findings);
    return acts;
  }

  async #walkLogs(system: AuditedLog, acts: SystemActs): Promise<void> {
    const { origin, state } = this.#options;
    for (let after = 0; ; ) {
      const logs = await readLogs(this.#db, after, LOGS);
      for (const log of logs) {
        after = log.id;
        if (log.id === system.id) continue;
        if (!acts.recorded(log.id)) {
          const says = `the log ${log.name} is there, and _system does not tell that it was made`;
          this.#findings.add('log-differs', { log: log.name }, says);
        }
        if (log.origin !== `${origin}/logs/${log.name}` || !equalBytes(log.logId, logId(log.origin))) {
          const says = `origin and id of the log ${log.name} are not those of its name`;
          this.#findings.add('log-differs', { log: log.name }, says);
        }
        const erased = acts.erasures.of(log.origin);
        const last = erased.at(-1);
        if (last !== undefined && last >= log.size) {
          const says = `_system tells that entry ${last} of ${log.name} was erased, which has ${log.size}`;
          this.#findings.add('log-cut-off', { log: log.name, index: log.size }, says);
        }
        const known = state?.position(log) ?? null;
        const from = known === null ? null : await resumeAt(this.#db, log, known, this.#findings);
        this.#counts.resumed += from?.position.size ?? 0;
        this.#total -= from?.position.size ?? 0;
        await this.#walk(log, { keyActs: acts.logKeys, erased, from, onPage: async () => {} });
      }
      if (logs.length < LOGS) return;
    }
  }

  async #walk(
    log: AuditedLog,
    how: Pick<Parameters<typeof walkLog>[0], 'keyActs' | 'erased' | 'from' | 'onPayload'> & {
      onPage: () => Promise<void>;
    },
  ): Promise<LogWalk> {
    const { state, clock } = this.#options;
    this.#counts.logs++;
    this.#report(log.name);
    const walk = await walkLog({
      ...how,
      db: this.#db,
      log,
      findings: this.#findings,
      keys: this.#keys,
      onPage: async ({ entries, position }) => {
        await how.onPage();
        this.#counts.entries += entries;
        this.#walked += entries;
        this.#report(log.name);
        if (state === null || position === null || this.#findings.concern(log.name)) return;
        state.note(log, position);
        const now = clock();
        if (now < this.#saveAt) return;
        await state.save();
        this.#saveAt = clock() + Math.max(SAVE_EVERY, SAVING_SHARE * (clock() - now));
      },
    });
    this.#counts.erased += walk.erased;
    this.#counts.digests += walk.digests;
    this.#counts.checkpoints += walk.checkpoints;
    return walk;
  }

  async #countUnrounded(): Promise<number> {
    const { rows } = await this.#db.query<{ entries: number }>(
      `SELECT coalesce(sum(l.size - coalesce(h.size, 0)), 0)::bigint AS entries
       FROM logs l LEFT JOIN round_heads h ON h.log = l.id WHERE l.name <> $1`,
      [SYSTEM_LOG],
    );
    return rows[0]?.entries ?? 0;
  }

  #report(at: string): void {
    this.#options.onProgress({ at, entries: this.#walked, total: this.#total });
  }
}
