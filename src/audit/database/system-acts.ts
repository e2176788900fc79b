// What `_system` tells of the service's acts, held against the tables that those acts changed.

import { Bitset } from '../../core/bitset.ts';
import { equalBytes, fromHex } from '../../core/bytes.ts';
import { logOrigin, SYSTEM_LOG } from '../../core/origin.ts';
import type { Queryable } from '../../store/database.ts';
import { type Act, type ActOf, logNameOf, near, readAct } from '../checks/acts.ts';
import type { Findings } from '../checks/findings.ts';
import { RecordedRounds } from '../checks/rounds.ts';
import { UnconfirmedHolds } from '../checks/unconfirmed-holds.ts';
import { ApiKeyActs } from './api-keys.ts';
import { Erasures } from './erasures.ts';
import { LogKeyActs } from './log-keys.ts';
import { RetentionActs } from './retention.ts';
import { SourceActs } from './sources.ts';

/** Takes the acts in, in the order of their entries, and compares them a page at a time. */
export class SystemActs {
  readonly erasures = new Erasures();
  readonly keys: ApiKeyActs;
  readonly accounts: AccountActs;
  readonly #sources: SourceActs;
  readonly #retention: RetentionActs;
  readonly #unconfirmedHolds: UnconfirmedHolds;
  readonly logKeys: LogKeyActs;
  /** When the operator declared that something published was lost, milliseconds; ascending. */
  readonly recoveries: number[] = [];
  readonly #db: Queryable;
  readonly #origin: string;
  readonly #findings: Findings;
  #page: Act[] = [];
  readonly #rounds: RecordedRounds;
  /** Names of logs that are listed. */
  readonly #listed = new Set<string>();
  /** Logs that were made by an act, by their ids. */
  readonly #recorded = new Bitset();

  constructor(db: Queryable, serviceOrigin: string, findings: Findings) {
    this.#db = db;
    this.#origin = serviceOrigin;
    this.#findings = findings;
    this.keys = new ApiKeyActs(findings);
    this.accounts = new AccountActs();
    this.#sources = new SourceActs(findings, serviceOrigin);
    this.#retention = new RetentionActs(findings, serviceOrigin);
    this.#unconfirmedHolds = new UnconfirmedHolds(findings, serviceOrigin);
    this.logKeys = new LogKeyActs(findings, logOrigin(serviceOrigin, SYSTEM_LOG));
    this.#rounds = new RecordedRounds(findings, 0);
  }

  /** One entry of `_system`. */
  take(index: number, payload: Uint8Array): void {
    const act = readAct(index, payload);
    if (typeof act === 'string') this.#unreadable(index, act);
    else if (act !== null) this.#page.push(act);
  }

  /** Compares what was taken in since the last time. */
  async reconcile(): Promise<void> {
    const page = this.#page.sort((a, b) => a.entry - b.entry);
    this.#page = [];
    await this.#reconcileLogs(page.filter((act) => act.act === 'log-created'));
    await this.logKeys.take(
      this.#db,
      page.flatMap((act) => (act.act === 'log-key-added' || act.act === 'log-key-retired' ? [act] : [])),
    );
    await this.#reconcileRounds(page.filter((act) => act.act === 'round-closed'));
    for (const act of page) {
      this.#unconfirmedHolds.take(act);
      if (act.act === 'key-created') this.keys.created({ ...act, createdAt: act.at });
      else if (act.act === 'key-revoked') this.keys.revoked(act.key, act.at, act.entry);
      else if (act.act === 'source-created') this.#sources.created(act);
      else if (act.act === 'source-changed') this.#sources.changed(act);
      else if (act.act === 'source-removed') this.#sources.removed(act);
      else if (act.act === 'sender-declared') this.accounts.declared(act);
      else if (act.act === 'entry-erased') {
        this.erasures.add(act.log, act.index);
        await this.#retention.erased(this.#db, act);
      } else if (act.act === 'entries-erased') {
        this.erasures.addRun(act);
        await this.#retention.ran(this.#db, act);
      } else if (act.act === 'hold-added') {
        this.erasures.keep(act);
        this.#retention.holdAdded(act);
      } else if (act.act === 'hold-removed') this.#retention.holdRemoved(act);
      else if (act.act === 'retention-set') this.#retention.set(act.log, act.period);
      else if (act.act === 'retention-cleared') this.#retention.clear(act.log);
      else if (act.act === 'log-listed') this.#noteListed(act);
      else if (act.act === 'log-ml-dsa') this.logKeys.takeMlDsa(act);
      else if (act.act === 'recovered') this.recoveries.push(act.at);
    }
  }

  /** Looks for what the tables have and no act tells of. */
  async finish(): Promise<void> {
    await this.reconcile();
    const { rows } = await this.#db.query<{ number: number }>(
      'SELECT number FROM rounds WHERE number > $1 ORDER BY number LIMIT 1',
      [this.#rounds.count],
    );
    this.#rounds.finish(rows[0]?.number ?? null);
    await this.keys.finish(this.#db);
    await this.#sources.finish(this.#db);
    await this.#retention.finish(this.#db, this.#unconfirmedHolds.since);
    await this.#compareListed();
  }

  #noteListed({ log, listed }: ActOf<'log-listed'>): void {
    const name = logNameOf(this.#origin, log) ?? log;
    if (listed) this.#listed.add(name);
    else this.#listed.delete(name);
  }

  async #compareListed(): Promise<void> {
    const { rows } = await this.#db.query<{ name: string }>('SELECT name FROM logs WHERE listed');
    const shown = new Set(rows.map((row) => row.name));
    for (const name of new Set([...this.#listed, ...shown])) {
      if (this.#listed.has(name) === shown.has(name)) continue;
      const says = shown.has(name)
        ? 'listed, and _system does not tell of it'
        : 'not listed, and _system tells that it is';
      this.#findings.add('log-differs', { log: name }, `${name} is ${says}`);
    }
  }

  /** Whether `_system` tells that this log was made. */
  recorded(log: number): boolean {
    return this.#recorded.has(log);
  }

  async #reconcileLogs(acts: readonly ActOf<'log-created'>[]): Promise<void> {
    if (acts.length === 0) return;
    const { rows } = await this.#db.query<{
      id: number;
      name: string;
      origin: string;
      blinded: boolean;
      created_at: number;
      public_key: Uint8Array | null;
    }>(
      `SELECT l.id, l.name, l.origin, l.blinded, l.created_at, k.public_key
       FROM logs l LEFT JOIN log_keys k ON k.log = l.id AND k.number = 1 WHERE l.origin = ANY ($1)`,
      [acts.map(({ log }) => log)],
    );
    const logs = new Map(rows.map((row) => [row.origin, row]));
    for (const { log, blinded, publicKey, at, entry } of acts) {
      const row = logs.get(log);
      if (row === undefined) {
        const says = `entry ${entry} of _system tells that ${log} was made, and it is missing`;
        this.#findings.add('log-gone', { log: logNameOf(this.#origin, log) }, says);
        continue;
      }
      this.#recorded.add(row.id);
      const place = { log: row.name };
      if (row.blinded !== blinded || !near(row.created_at, at)) {
        const says = `the row of ${row.name} tells otherwise of how or when it was made than entry ${entry} of _system`;
        this.#findings.add('log-differs', place, says);
      }
      if (row.public_key === null || !equalBytes(row.public_key, fromHex(publicKey))) {
        const says = `key 1 of ${row.name} is not the one that entry ${entry} of _system names`;
        this.#findings.add('key-differs', place, says);
      }
    }
  }

  async #reconcileRounds(acts: readonly ActOf<'round-closed'>[]): Promise<void> {
    if (acts.length === 0) return;
    const { rows } = await this.#db.query<{ number: number; root: Uint8Array }>(
      'SELECT number, root FROM rounds WHERE number = ANY ($1) OR number = (SELECT max(number) FROM rounds)',
      [acts.map(({ number }) => number)],
    );
    const newest = rows.reduce((most, { number }) => Math.max(most, number), 0);
    const roots = new Map(rows.map((row) => [row.number, row.root]));
    for (const act of acts) this.#rounds.take(act, roots.get(act.number) ?? null, newest);
  }

  #unreadable(index: number, how: string): void {
    this.#findings.add('act-unreadable', { log: SYSTEM_LOG, index }, `entry ${index} of _system ${how}`);
  }
}

/** The accounts that pay for anchors, as `_system` declares them. */
class AccountActs {
  /** Addresses by chain. */
  readonly #declared = new Map<string, Set<string>>();

  declared({ chain, address }: { readonly chain: string; readonly address: string }): void {
    const known = this.#declared.get(chain) ?? new Set<string>();
    this.#declared.set(chain, known.add(address.toLowerCase()));
  }

  list(): { chain: string; address: string }[] {
    return [...this.#declared].flatMap(([chain, addresses]) => [...addresses].map((address) => ({ chain, address })));
  }
}
