// The keys that the database has for logs, compared with what `_system` tells of them and with what is known otherwise.

import { equalBytes, fromHex, toHex } from '../../core/bytes.ts';
import type { Verifier } from '../../core/note.ts';
import type { Log } from '../../log/log.ts';
import { type LogKey, readLogKeys } from '../../log/rotation.ts';
import type { LogSeed } from '../../log/seed.ts';
import type { Queryable } from '../../store/database.ts';
import { type ActOf, near } from '../checks/acts.ts';
import type { Findings } from '../checks/findings.ts';
import { confirmedSize, KeyHistory, type LogKeyAct, LogKeys, type RecordedKey } from '../checks/log-keys.ts';
import { openKey } from '../process/signatures.ts';

/** What is known of the keys of logs without the database. */
export interface KnownKeys {
  readonly seed: LogSeed | null;
  /** Of some logs. */
  readonly verifiers: readonly Verifier[];
}

/** Whether and by what a log signs by ML-DSA. */
interface MlDsaSigning {
  /** Milliseconds; null: it does not, or no longer. */
  readonly since: number | null;
  /** All that it ever did so with. */
  readonly keys: ActOf<'log-ml-dsa'>['keys'];
}

/** What `_system` tells of keys that logs got and lost later. Nothing is held of logs whose keys never changed. */
export class LogKeyActs {
  readonly #findings: Findings;
  readonly #histories = new Map<string, KeyHistory>();
  readonly #mlDsa = new Map<string, MlDsaSigning>();
  /** About the log `_system`, in order. */
  readonly system: LogKeyAct[] = [];
  readonly #systemOrigin: string;

  constructor(findings: Findings, systemOrigin: string) {
    this.#findings = findings;
    this.#systemOrigin = systemOrigin;
  }

  /** Takes in some acts, in order, and checks that the logs they are about are there. */
  async take(db: Queryable, acts: readonly LogKeyAct[]): Promise<void> {
    if (acts.length === 0) return;
    const { rows } = await db.query<{ origin: string; name: string }>(
      'SELECT origin, name FROM logs WHERE origin = ANY ($1)',
      [[...new Set(acts.map(({ log }) => log))]],
    );
    const names = new Map(rows.map(({ origin, name }) => [origin, name]));
    for (const act of acts) {
      const name = names.get(act.log);
      if (name === undefined) {
        const says = `entry ${act.entry} of _system tells of key ${act.number} of ${act.log}, and the log is missing`;
        this.#findings.add('log-gone', {}, says);
        continue;
      }
      if (act.log === this.#systemOrigin) this.system.push(act);
      const history = this.#histories.get(act.log) ?? new KeyHistory();
      this.#histories.set(act.log, history);
      const fault = history.take(act, name);
      if (fault !== null) {
        this.#findings.add('key-differs', { log: name }, `entry ${act.entry} of _system ${fault}`);
      }
    }
  }

  /** Takes in that logs sign by ML-DSA, or no longer. */
  takeMlDsa({ log, on, keys, at }: ActOf<'log-ml-dsa'>): void {
    const known = this.mlDsaOf(log);
    this.#mlDsa.set(log, { since: on ? (known.since ?? at) : null, keys: [...known.keys, ...keys] });
  }

  mlDsaOf(origin: string): MlDsaSigning {
    return this.#mlDsa.get(origin) ?? { since: null, keys: [] };
  }

  /** The keys of a log that acts were about, by their numbers. */
  of(log: Pick<Log, 'origin'>): ReadonlyMap<number, RecordedKey> {
    return this.#histories.get(log.origin)?.entries ?? new Map();
  }

  /** Compares the keys that a log has with those that acts were about. */
  compare(log: Pick<Log, 'name' | 'origin'>, keys: readonly LogKey[]): void {
    const { name } = log;
    const differs = (says: string): void => this.#findings.add('key-differs', { log: name }, says);
    const told = new Map(this.of(log));
    for (const { number, publicKey, addedAt, retiredAt } of keys) {
      const known = told.get(number);
      told.delete(number);
      if (known === undefined && number !== 1) {
        differs(`${name} has a key ${number}, and _system does not tell of it`);
        continue;
      }
      if (known !== undefined && !equalBytes(known.publicKey, publicKey)) {
        differs(`key ${number} of ${name} is not the one that _system tells of`);
      }
      if (known?.addedAt != null && !near(addedAt, known.addedAt)) {
        differs(`key ${number} of ${name} was added at another time than _system tells`);
      }
      if (!near(retiredAt, known?.retiredAt ?? null)) {
        differs(`key ${number} of ${name} was retired otherwise than _system tells`);
      }
    }
    for (const number of told.keys()) differs(`_system tells of key ${number} of ${name}, which is missing`);
  }
}

/**
 * The keys of a log as the database has them, compared with what is known of them otherwise.
 * @param acts what `_system` tells of them; null: that is not known yet, see `checkSystemKeys`
 */
export async function readKeys(
  db: Queryable,
  log: Log,
  known: KnownKeys,
  acts: LogKeyActs | null,
  findings: Findings,
): Promise<LogKeys> {
  const rows = await keyRows(db, log);
  acts?.compare(log, rows);
  const differs = (says: string): void => findings.add('key-differs', { log: log.name }, says);
  if (rows[0]?.number !== 1) differs(`${log.name} has no key 1`);
  if (rows.every(({ retiredAt }) => retiredAt !== null)) differs(`${log.name} has no key that is not retired`);
  for (const { number, publicKey, retiredAt } of rows) {
    // The seed of a retired key may be gone: keys are retired for that.
    if (known.seed === null || retiredAt !== null || isDerived(known.seed, log, number, publicKey)) continue;
    differs(`key ${number} of ${log.name} (${toHex(publicKey)}) is not the one that the seed makes`);
  }
  for (const verifier of known.verifiers.filter(({ name }) => name === log.origin)) {
    if (!rows.some(({ publicKey }) => equalBytes(publicKey, verifier.publicKey))) {
      differs(`${log.name} does not have the key that was given for it`);
    }
  }
  const keys = new LogKeys(
    log.origin,
    openKey,
    rows.map(({ publicKey }) => publicKey),
  );
  if (acts !== null) await addMlDsaKeys(db, log, known, acts, keys, differs);
  const told = acts?.of(log);
  for (const { number, publicKey, retiredAt } of rows) {
    const at = told === undefined ? retiredAt : (told.get(number)?.retiredAt ?? null);
    if (at !== null) keys.retire(publicKey, at);
  }
  return keys;
}

/** Compares whether a log signs by ML-DSA with what `_system` tells, and adds the keys of which that tells. */
async function addMlDsaKeys(
  db: Queryable,
  log: Log,
  { seed }: KnownKeys,
  acts: LogKeyActs,
  keys: LogKeys,
  differs: (says: string) => void,
): Promise<void> {
  const { since, keys: told } = acts.mlDsaOf(log.origin);
  const { rows } = await db.query<{ ml_dsa: boolean }>('SELECT ml_dsa FROM logs WHERE id = $1', [log.id]);
  if (rows[0]?.ml_dsa !== (since !== null)) differs(`${log.name} signs by ML-DSA otherwise than _system tells`);
  if (since !== null) keys.signByMlDsa(since);
  for (const { number, publicKey } of told) {
    const key = fromHex(publicKey);
    keys.add(key);
    const retiredAt = acts.of(log).get(number)?.retiredAt ?? null;
    if (retiredAt !== null) keys.retire(key, retiredAt);
    if (seed === null || retiredAt !== null || isMlDsaDerived(seed, log, number, key)) continue;
    differs(`the key of ML-DSA ${number} of ${log.name} is not the one that the seed makes`);
  }
}

/** By any of the seeds: the one that the Ed25519 key of that number is by is not told apart. */
function isMlDsaDerived(seed: LogSeed, { origin }: Log, number: number, publicKey: Uint8Array): boolean {
  return seed.mlDsaKeys(origin, number).some((key) => equalBytes(key, publicKey));
}

/** Compares the keys of `_system`, of which it tells itself, once it was read. */
export async function checkSystemKeys(
  db: Queryable,
  system: Log,
  keys: LogKeys,
  known: KnownKeys,
  acts: LogKeyActs,
  findings: Findings,
): Promise<void> {
  const rows = await keyRows(db, system);
  acts.compare(system, rows);
  const given = known.verifiers.filter(({ name }) => name === system.origin).map(({ publicKey }) => publicKey);
  const { seed } = known;
  if (seed === null && given.length === 0) return;
  const derived = rows.filter(({ number, publicKey }) => seed !== null && isDerived(seed, system, number, publicKey));
  const confirmed = confirmedSize(keys, acts.system, [...given, ...derived.map(({ publicKey }) => publicKey)]);
  if (confirmed >= keys.reach()) return;
  const says =
    `from size ${confirmed} on _system is signed by keys that it tells of itself, ` +
    `and by none that ${seed === null ? 'was given' : 'the seed makes'}`;
  findings.add('key-differs', { log: system.name }, says);
}

async function keyRows(db: Queryable, log: Log): Promise<readonly LogKey[]> {
  return (await readLogKeys(db, [log])).get(log.id) ?? [];
}

function isDerived(seed: LogSeed, { origin }: Log, number: number, publicKey: Uint8Array): boolean {
  return equalBytes(seed.signer(origin, number, publicKey).publicKey, publicKey);
}
