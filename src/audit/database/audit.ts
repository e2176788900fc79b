// The audit of a service by its database: everything in it is read once, in one snapshot, and nothing is written.

import type { AnchorKinds, DatabaseAudit } from '../../anchor/kind.ts';
import type { AuditTrust, ChainOutcome } from '../../core/anchor-audit.ts';
import { equalBytes } from '../../core/bytes.ts';
import { AntequemError } from '../../core/errors.ts';
import type { Verifier } from '../../core/note.ts';
import { logId, logOrigin, SYSTEM_LOG } from '../../core/origin.ts';
import type { Archives, TileArchive } from '../../log/archived-tile.ts';
import type { BlockArchive } from '../../log/blocks/archived-block.ts';
import type { LogSeed } from '../../log/seed.ts';
import type { Database, Transaction } from '../../store/database.ts';
import { Findings } from '../checks/findings.ts';
import type { RoundAt } from '../checks/rounds.ts';
import { type Audit, auditVerdict } from '../checks/verdict.ts';
import { Saver } from '../process/state-file.ts';
import { ErasureRecord } from './erasures.ts';
import { IndexCheck } from './index-check.ts';
import { checkSystemKeys, type KnownKeys, type LogKeyActs, readKeys } from './log-keys.ts';
import { newestStoredRound, walkRounds } from './rounds.ts';
import { type AuditState, resumeAt } from './state.ts';
import { readStoredLog, readStoredLogs, type StoredLog } from './stored-log.ts';
import { type StoredLogWalk, type StoredLogWalkOptions, walkStoredLog } from './stored-log-walk.ts';
import { checkStrayBlocks } from './stray-blocks.ts';
import { SystemActs } from './system-acts.ts';

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
  /** The seed that all keys are derived from; null: the auditor does not have it. */
  readonly seed: LogSeed | null;
  /** Keys of logs that are known from elsewhere. */
  readonly verifiers: readonly Verifier[];
  readonly kinds: AnchorKinds;
  /** Where old contents of entries lie; null: nowhere. */
  readonly archive?: BlockArchive | null;
  /** Where old tiles lie; null: they are compared by their roots alone. */
  readonly tiles?: TileArchive | null;
  /** Where an earlier audit had come to; it is kept up to date. */
  readonly state: AuditState | null;
  readonly onProgress: (progress: AuditProgress) => void;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
  readonly random: (length: number) => Uint8Array;
}

const LOGS_AT_ONCE = 500;

/**
 * Audits a database.
 * @throws AntequemError `origin-changed` where it is the database of another service or of none; errors of the database
 */
export async function auditDatabase(options: AuditOptions): Promise<Audit> {
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
  readonly #counts = {
    logs: 0,
    entries: 0,
    resumed: 0,
    erased: 0,
    byRetention: 0,
    open: 0,
    digests: 0,
    checkpoints: 0,
  };
  readonly #keys: KnownKeys;
  readonly #saver: Saver | null;
  readonly #index: IndexCheck;
  readonly #archives: Archives;
  #newest: RoundAt | null = null;
  #walked = 0;
  #total = 0;

  constructor(db: Transaction, options: AuditOptions) {
    this.#db = db;
    this.#options = options;
    this.#keys = { seed: options.seed, verifiers: options.verifiers };
    const { state, clock, random, archive: blocks = null, tiles = null } = options;
    this.#index = new IndexCheck(random(32), blocks);
    this.#archives = { blocks, tiles };
    this.#saver = state === null ? null : new Saver(() => state.save(), clock);
  }

  async run(anchors: readonly DatabaseAudit[]): Promise<Audit> {
    const { clock, origin, state, seed, verifiers } = this.#options;
    const began = clock();
    const system = await this.#readSystem();
    const { rows } = await this.#db.query<{ total: number }>(
      'SELECT coalesce(sum(size), 0)::bigint AS total FROM log_states',
    );
    this.#total = rows[0]?.total ?? 0;
    this.#newest = await newestStoredRound(this.#db);
    // First of all: it tells what else there must be, and what was erased.
    const acts = await this.#walkSystem(system);
    await this.#walkLogs(system, acts);
    const walked = clock() - began;
    await state?.save();
    this.#report('places of entries');
    await checkStrayBlocks(this.#db, this.#findings);
    this.#report('index of digests');
    await this.#index.finish(this.#db, this.#walkedLogs(), this.#findings);
    this.#report('rounds');
    const rounds = await walkRounds(this.#db, origin, this.#findings);
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
    const { logs, entries, resumed, erased, byRetention, open, digests, checkpoints } = this.#counts;
    const result = {
      by: 'the database',
      logs,
      entries,
      resumed,
      contents: { erased, byRetention, open, digests },
      acts: null,
      checkpoints,
      rounds,
      unrounded: await this.#countUnrounded(),
      // All other keys are named by `_system`.
      keysKnown: seed !== null || verifiers.some(({ name }) => name === system.origin),
      recovered: acts.recoveries.length > 0,
      chains,
      compared: null,
      incomplete: null,
    };
    return { verdict: auditVerdict(result, this.#findings), findings: this.#findings.list(), result, walked };
  }

  async #readSystem(): Promise<StoredLog> {
    const { origin } = this.#options;
    const system = await readStoredLog(this.#db, SYSTEM_LOG);
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

  async #walkSystem(system: StoredLog): Promise<SystemActs> {
    const { state } = this.#options;
    const acts = new SystemActs(this.#db, this.#options.origin, this.#findings);
    // An earlier audit is a witness for it too, but its acts are needed: it is walked from the start.
    const known = state?.position(system) ?? null;
    if (known !== null) await resumeAt(this.#db, system, known, this.#archives, this.#findings);
    const keys = await this.#readKeys(system, null);
    const walk = await this.#walk(system, {
      keys,
      erased: new ErasureRecord(new Float64Array(0)),
      from: null,
      onPayload: (index, payload) => acts.take(index, payload),
      onPage: () => acts.reconcile(),
    });
    if (walk.firstDigest !== null) {
      const says = `entry ${walk.firstDigest} of _system has no payload`;
      this.#findings.add('act-unreadable', { log: SYSTEM_LOG, index: walk.firstDigest }, says);
    }
    await acts.finish();
    await checkSystemKeys(this.#db, system, keys, this.#keys, acts.logKeys, this.#findings);
    return acts;
  }

  async *#walkedLogs() {
    for (let after = 0; ; ) {
      const logs = await readStoredLogs(this.#db, after, LOGS_AT_ONCE);
      for (const { id, name, size } of logs) {
        after = id;
        yield { id, name, size, from: this.#index.from(id) };
      }
      if (logs.length < LOGS_AT_ONCE) return;
    }
  }

  async #walkLogs(system: StoredLog, acts: SystemActs): Promise<void> {
    const { origin, state } = this.#options;
    for (let after = 0; ; ) {
      const logs = await readStoredLogs(this.#db, after, LOGS_AT_ONCE);
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
        const erased = await acts.erasures.of(this.#db, log);
        const { last } = erased;
        if (last !== null && last >= log.size) {
          const says = `_system tells that entry ${last} of ${log.name} was erased, which has ${log.size}`;
          this.#findings.add('log-cut-off', { log: log.name, index: log.size }, says);
        }
        const known = state?.position(log) ?? null;
        const from = known === null ? null : await resumeAt(this.#db, log, known, this.#archives, this.#findings);
        this.#counts.resumed += from?.position.size ?? 0;
        this.#total -= from?.position.size ?? 0;
        const keys = await this.#readKeys(log, acts.logKeys);
        await this.#walk(log, { keys, erased, from, onPage: async () => {} });
      }
      if (logs.length < LOGS_AT_ONCE) return;
    }
  }

  #readKeys(log: StoredLog, acts: LogKeyActs | null) {
    return readKeys(this.#db, log, this.#keys, acts, this.#findings);
  }

  async #walk(
    log: StoredLog,
    how: Pick<StoredLogWalkOptions, 'keys' | 'erased' | 'from' | 'onPayload'> & {
      readonly onPage: () => Promise<void>;
    },
  ): Promise<StoredLogWalk> {
    const { state } = this.#options;
    this.#counts.logs++;
    this.#report(log.name);
    this.#index.begin(log.id, how.from?.position.size ?? 0);
    const walk = await walkStoredLog({
      ...how,
      db: this.#db,
      log,
      findings: this.#findings,
      archive: this.#archives.blocks,
      tiles: this.#archives.tiles,
      newest: this.#newest,
      onDigest: (index, digest) => this.#index.note(log.id, index, digest),
      onPage: async ({ entries, position }) => {
        await how.onPage();
        this.#counts.entries += entries;
        this.#walked += entries;
        this.#report(log.name);
        if (state === null || position === null || this.#findings.concern(log.name)) return;
        state.note(log, position);
        await this.#saver?.tick();
      },
    });
    this.#counts.erased += walk.erased;
    this.#counts.byRetention += walk.byRetention;
    this.#counts.open += walk.open;
    this.#counts.digests += walk.digests;
    this.#counts.checkpoints += walk.checkpoints;
    return walk;
  }

  async #countUnrounded(): Promise<number> {
    const { rows } = await this.#db.query<{ entries: number }>(
      `SELECT coalesce(sum(l.size - coalesce(h.size, 0)), 0)::bigint AS entries
       FROM log_states l LEFT JOIN round_heads h ON h.log = l.id WHERE l.name <> $1`,
      [SYSTEM_LOG],
    );
    return rows[0]?.entries ?? 0;
  }

  #report(at: string): void {
    this.#options.onProgress({ at, entries: this.#walked, total: this.#total });
  }
}
