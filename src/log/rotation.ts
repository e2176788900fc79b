// Adds and retires keys of logs. A new key signs together with the older ones until those are retired.

import { toHex } from '../core/bytes.ts';
import { ML_DSA_44_COSIGNATURE } from '../core/cosignature.ts';
import { AntequemError } from '../core/errors.ts';
import type { Database, Queryable, Transaction } from '../store/database.ts';
import { endorse } from './endorsement.ts';
import type { Guard } from './guard.ts';
import type { Log } from './log.ts';
import type { Publisher } from './publish.ts';
import type { Registry } from './registry.ts';
import type { LogSigner } from './seed.ts';
import type { Sequencing } from './sequence.ts';
import { recordedTransaction, type SystemAct } from './system.ts';

/** The most keys that sign a log at the same time: each is a line in every checkpoint. */
const MAX_ACTIVE = 4;
/** Milliseconds that the remaining keys must have signed for: six times what a process takes to notice a new key. */
const SETTLED = 60_000;
/** Milliseconds that a change may take, and in addition for each log, where about one was measured on a busy machine. */
const DEADLINE = 30_000;
const DEADLINE_PER_LOG = 10;

/** A key of a log. Times are milliseconds since the Unix epoch. */
export interface LogKey {
  readonly number: number;
  /** 32 bytes, Ed25519. */
  readonly publicKey: Uint8Array;
  readonly addedAt: number;
  /** Null while it signs. */
  readonly retiredAt: number | null;
}

export interface LogWithKey {
  readonly log: Log;
  readonly key: LogKey;
}

export interface RotationParts {
  readonly database: Database;
  readonly registry: Registry;
  readonly publisher: Publisher;
  readonly sequencing: Sequencing;
  readonly guard: Guard;
}

/** All keys of these logs by the logs' ids, in the order of their numbers. */
export async function readLogKeys(db: Queryable, logs: readonly Log[]): Promise<ReadonlyMap<number, LogKey[]>> {
  const { rows } = await db.query<{
    log: number;
    number: number;
    public_key: Uint8Array;
    created_at: number;
    revoked_at: number | null;
  }>('SELECT log, number, public_key, created_at, revoked_at FROM log_keys WHERE log = ANY ($1) ORDER BY log, number', [
    logs.map(({ id }) => id),
  ]);
  const keys = new Map<number, LogKey[]>(logs.map(({ id }) => [id, []]));
  for (const { log, number, public_key, created_at, revoked_at } of rows) {
    const publicKey = new Uint8Array(public_key);
    keys.get(log)?.push({ number, publicKey, addedAt: created_at, retiredAt: revoked_at });
  }
  return keys;
}

/**
 * Adds one key to each of these logs, to all or to none, and records that in `_system`. The newest checkpoint of each log is
 * signed with it at once; other processes sign with it within ten seconds.
 * @throws AntequemError `keys-too-many`, `seed-changed`, `checkpoint-damaged`, and what the guard throws
 */
export async function addKeys(parts: RotationParts, logs: readonly Log[]): Promise<readonly LogWithKey[]> {
  const { registry, sequencing } = parts;
  return changeKeys(parts, logs, async (tx, keysOf) => {
    const now = sequencing.effects.now();
    const own = await registry.prepareSigners(logs, tx);
    const added = logs.map((log): LogWithKey & { signer: LogSigner } => {
      const keys = keysOf(log);
      if (keys.filter(isActive).length >= MAX_ACTIVE) {
        throw new AntequemError('keys-too-many', `${log.name} has ${MAX_ACTIVE} keys that sign: retire one first`);
      }
      const number = (keys.at(-1)?.number ?? 0) + 1;
      const signer = registry.newSigner(log, number, (own.get(log.id) ?? []).some(signsByMlDsa));
      return { log, key: { number, publicKey: signer.publicKey, addedAt: now, retiredAt: null }, signer };
    });
    await endorse(
      tx,
      parts.guard,
      own,
      added.map(({ log, signer }) => ({ log, signers: [signer] })),
    );
    await tx.query(
      `INSERT INTO log_keys (log, number, public_key, created_at)
       SELECT log, number, key, $4 FROM unnest($1::int[], $2::int[], $3::bytea[]) AS k (log, number, key)`,
      [
        added.map(({ log }) => log.id),
        added.map(({ key }) => key.number),
        added.map(({ key }) => Buffer.from(key.publicKey)),
        now,
      ],
    );
    return {
      result: added.map(({ log, key }) => ({ log, key })),
      acts: added.flatMap(({ log, key, signer }): SystemAct[] => [
        actOf('log-key-added', log, key),
        ...(signsByMlDsa(signer) ? [mlDsaAct(log, [{ number: key.number, signer }])] : []),
      ]),
    };
  });
}

/**
 * Has these logs sign by ML-DSA-44 beside Ed25519, or no longer, and records that in `_system`. Each key of a log has one of
 * ML-DSA beside it, which comes and goes with it. The newest checkpoint of each log is signed with them at once.
 * @returns the logs that changed
 * @throws AntequemError `seed-changed`, `checkpoint-damaged`, and what the guard throws
 */
export async function setMlDsa(parts: RotationParts, logs: readonly Log[], on: boolean): Promise<readonly Log[]> {
  const { registry } = parts;
  return changeKeys(parts, logs, async (tx, keysOf) => {
    const { rows } = await tx.query<{ id: number }>(
      'UPDATE logs SET ml_dsa = $2 WHERE id = ANY ($1) AND ml_dsa <> $2 RETURNING id',
      [logs.map(({ id }) => id), on],
    );
    const ids = new Set(rows.map(({ id }) => id));
    const changed = logs.filter(({ id }) => ids.has(id));
    const own = await registry.prepareSigners(changed, tx);
    if (on) {
      await endorse(
        tx,
        parts.guard,
        own,
        changed.map((log) => ({ log, signers: own.get(log.id) ?? [] })),
      );
    }
    const acts = changed.map((log): SystemAct => {
      const active = keysOf(log).filter(isActive);
      const signing = (own.get(log.id) ?? []).map((signer, i) => ({ number: active[i]?.number ?? 0, signer }));
      return on ? mlDsaAct(log, signing) : { act: 'log-ml-dsa', log: log.origin, on, keys: [] };
    });
    return { result: changed, acts };
  });
}

function signsByMlDsa({ verifiers }: LogSigner): boolean {
  return verifiers.some(({ type }) => type === ML_DSA_44_COSIGNATURE);
}

function mlDsaAct(log: Log, signing: readonly { readonly number: number; readonly signer: LogSigner }[]): SystemAct {
  const keys = signing.flatMap(({ number, signer: { verifiers } }) =>
    verifiers.flatMap(({ type, publicKey }) =>
      type === ML_DSA_44_COSIGNATURE ? [{ number, publicKey: toHex(publicKey) }] : [],
    ),
  );
  return { act: 'log-ml-dsa', log: log.origin, on: true, keys };
}

export interface Retirement {
  readonly log: Log;
  /** Null: every key but the newest. */
  readonly number: number | null;
}

/**
 * Retires keys, all of them or none, and records that in `_system`. The newest checkpoint of each log then has signatures of
 * the remaining keys.
 * @param force even if the remaining keys are so new that some process may not sign with them yet
 * @throws AntequemError `log-key-not-found`, `log-key-last`, `log-key-new`, `checkpoint-damaged`, `seed-changed`, and what
 *   the guard throws
 */
export async function retireKeys(
  parts: RotationParts,
  retirements: readonly Retirement[],
  force: boolean,
): Promise<readonly LogWithKey[]> {
  const { registry, sequencing } = parts;
  const logs = retirements.map(({ log }) => log);
  // Who knows the retiring keys alone can check what they were given for rounds of before.
  for (const log of logs) await parts.publisher.signAllDue(log);
  return changeKeys(parts, logs, async (tx, keysOf) => {
    const now = sequencing.effects.now();
    const plans = retirements.map((retirement) => planOf(retirement, keysOf(retirement.log), force ? null : now));
    const retired = plans.flatMap(({ log, leaving }) =>
      leaving.map((key) => ({ log, key: { ...key, retiredAt: now } })),
    );
    const signers = await registry.prepareSigners(logs, tx);
    const staying = plans.map(({ log, leaving }) => {
      const gone = new Set(leaving.map(({ publicKey }) => toHex(publicKey)));
      return { log, signers: (signers.get(log.id) ?? []).filter(({ publicKey }) => !gone.has(toHex(publicKey))) };
    });
    await endorse(tx, parts.guard, signers, staying);
    await tx.query(
      `UPDATE log_keys k SET revoked_at = $3 FROM unnest($1::int[], $2::int[]) AS r (log, number)
       WHERE k.log = r.log AND k.number = r.number`,
      [retired.map(({ log }) => log.id), retired.map(({ key }) => key.number), now],
    );
    return { result: retired, acts: retired.map(({ log, key }) => actOf('log-key-retired', log, key)) };
  });
}

async function changeKeys<T>(
  { database, registry, sequencing }: RotationParts,
  logs: readonly Log[],
  work: (
    tx: Transaction,
    keysOf: (log: Log) => readonly LogKey[],
  ) => Promise<{ result: readonly T[]; acts: readonly SystemAct[] }>,
): Promise<readonly T[]> {
  if (logs.length === 0) return [];
  const change = async (tx: Transaction): ReturnType<typeof work> => {
    await tx.query('UPDATE log_key_changes SET changes = changes + 1');
    // The memory of this process may be ten seconds old.
    registry.forgetKeys();
    const keys = await readLogKeys(tx, logs);
    return work(tx, (log) => keys.get(log.id) ?? []);
  };
  const deadline = DEADLINE + DEADLINE_PER_LOG * logs.length;
  try {
    return await recordedTransaction(database, registry.system, sequencing, change, deadline);
  } finally {
    // The transaction may have been rolled back, and another change may get the same number.
    registry.doubtKeys();
  }
}

/** @param now null: the remaining keys may be of any age */
function planOf({ log, number }: Retirement, keys: readonly LogKey[], now: number | null) {
  const active = keys.filter(isActive);
  const leaving = number === null ? active.slice(0, -1) : active.filter((key) => key.number === number);
  if (leaving.length === 0 && number !== null) {
    const key = keys.find((each) => each.number === number);
    const says =
      key === undefined ? `${log.name} has no key ${number}` : `key ${number} of ${log.name} is retired already`;
    throw new AntequemError('log-key-not-found', `${says}: see antequem logs keys ${log.name}`);
  }
  const staying = active.filter((key) => !leaving.includes(key));
  if (staying.length === 0) {
    throw new AntequemError(
      'log-key-last',
      `key ${number} is the only one that signs ${log.name}: antequem logs rotate ${log.name} gives it another`,
    );
  }
  if (leaving.length > 0 && now !== null && !staying.some(({ addedAt }) => now - addedAt >= SETTLED)) {
    throw new AntequemError(
      'log-key-new',
      `the keys of ${log.name} that would be left are not a minute old, and not every process may sign with them yet: ` +
        'wait, so that whoever checks signatures learns of them, or use --force',
    );
  }
  return { log, leaving };
}

function isActive({ retiredAt }: LogKey): boolean {
  return retiredAt === null;
}

function actOf(act: 'log-key-added' | 'log-key-retired', { origin }: Log, { number, publicKey }: LogKey): SystemAct {
  return { act, log: origin, number, publicKey: toHex(publicKey) };
}
