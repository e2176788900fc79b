// The keys that logs got and lost after they were made, as `_system` tells of them.

import { fromHex, toHex } from '../../core/bytes.ts';
import type { Log } from '../../log/log.ts';
import type { LogKey } from '../../log/rotation.ts';
import type { Queryable } from '../../store/database.ts';
import type { Findings } from '../checks/findings.ts';
import { near } from '../checks/nearness.ts';
import type { LogKeys } from './log-keys.ts';

/** An act about a key of a log; `at` is milliseconds, `entry` where in `_system` it stands. */
export interface LogKeyAct {
  readonly act: 'log-key-added' | 'log-key-retired';
  /** Origin. */
  readonly log: string;
  readonly number: number;
  /** Hex. */
  readonly publicKey: string;
  readonly at: number;
  readonly entry: number;
}

interface Told {
  readonly publicKey: string;
  /** Null: with its log. */
  readonly addedAt: number | null;
  retiredAt: number | null;
}

/** Of logs whose keys never changed nothing is held. */
export class LogKeyActs {
  readonly #findings: Findings;
  readonly #told = new Map<string, Map<number, Told>>();
  /** About the log `_system`, in order. */
  readonly system: LogKeyAct[] = [];
  readonly #systemOrigin: string;

  constructor(findings: Findings, systemOrigin: string) {
    this.#findings = findings;
    this.#systemOrigin = systemOrigin;
  }

  /** Takes in some acts, in order, and looks whether there are logs that they are about. */
  async take(db: Queryable, acts: readonly LogKeyAct[]): Promise<void> {
    if (acts.length === 0) return;
    const origins = [...new Set(acts.map(({ log }) => log))];
    const { rows } = await db.query<{ origin: string; name: string }>(
      'SELECT origin, name FROM logs WHERE origin = ANY ($1)',
      [origins],
    );
    const names = new Map(rows.map(({ origin, name }) => [origin, name]));
    for (const act of acts) {
      const name = names.get(act.log);
      if (name === undefined) {
        const says = `entry ${act.entry} of _system tells of key ${act.number} of ${act.log}, and the log is not there`;
        this.#findings.add('log-gone', {}, says);
      } else this.#take(act, name);
    }
  }

  #take(act: LogKeyAct, name: string): void {
    const { log, number, publicKey, at, entry } = act;
    if (log === this.#systemOrigin) this.system.push(act);
    const differs = (says: string): void =>
      this.#findings.add('key-differs', { log: name }, `entry ${entry} of _system ${says}`);
    const told = this.#told.get(log) ?? new Map<number, Told>();
    this.#told.set(log, told);
    if (act.act === 'log-key-added') {
      const next = Math.max(1, ...told.keys()) + 1;
      if (number !== next) differs(`adds key ${number} to ${name}, and ${next} comes next`);
      told.set(number, { publicKey, addedAt: at, retiredAt: null });
      return;
    }
    const known = told.get(number) ?? (number === 1 ? { publicKey, addedAt: null, retiredAt: null } : undefined);
    if (known === undefined || known.publicKey !== publicKey || known.retiredAt !== null) {
      differs(`retires key ${number} of ${name}, and no such key signed it then`);
    }
    told.set(number, { publicKey, addedAt: known?.addedAt ?? null, retiredAt: known?.retiredAt ?? at });
  }

  /** When keys of a log were retired, by their numbers. */
  retirements(log: Pick<Log, 'origin'>): ReadonlyMap<number, number> {
    const told = this.#told.get(log.origin) ?? new Map<number, Told>();
    return new Map([...told].flatMap(([number, { retiredAt }]) => (retiredAt === null ? [] : [[number, retiredAt]])));
  }

  /** Compares the keys that a log has with those that were told of. */
  compare(log: Pick<Log, 'name' | 'origin'>, keys: readonly LogKey[]): void {
    const { name, origin } = log;
    const differs = (says: string): void => this.#findings.add('key-differs', { log: name }, says);
    const told = new Map(this.#told.get(origin));
    for (const { number, publicKey, addedAt, retiredAt } of keys) {
      const known = told.get(number);
      told.delete(number);
      if (known === undefined && number !== 1) {
        differs(`${name} has a key ${number}, and _system does not tell of it`);
        continue;
      }
      if (known !== undefined && known.publicKey !== toHex(publicKey)) {
        differs(`key ${number} of ${name} is not the one that _system tells of`);
      }
      if (known?.addedAt != null && !near(addedAt, known.addedAt)) {
        differs(`when key ${number} of ${name} was added is not what _system tells`);
      }
      if (!near(retiredAt, known?.retiredAt ?? null)) {
        differs(`whether or when key ${number} of ${name} was retired is not what _system tells`);
      }
    }
    for (const number of told.keys()) differs(`_system tells of key ${number} of ${name}, which is not there`);
  }
}

/**
 * Which keys of `_system` can be believed, beginning with those that are known otherwise: what one of them signed names
 * others. It is not enough that `_system` tells of a key: whoever cannot sign with the keys before could write that, too.
 * @param known 32 bytes each
 * @returns up to which size of the log the signatures of such keys reach; what is larger is signed by nobody known
 */
export function confirmedSize(keys: LogKeys, acts: readonly LogKeyAct[], known: readonly Uint8Array[]): number {
  const confirmed = new Set(known.map(toHex));
  let size = 0;
  for (let grown = true; grown; ) {
    const before = confirmed.size;
    size = Math.max(0, ...[...confirmed].map((key) => keys.reach(fromHex(key))));
    for (const { publicKey, entry } of acts) if (entry < size) confirmed.add(publicKey);
    grown = confirmed.size > before;
  }
  return size;
}
