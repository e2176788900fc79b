import { sha256 } from '#sha256';
import { toHex, utf8 } from '../core/bytes.ts';
import type { Queryable } from './database.ts';

/**
 * What a service calls its own on servers that it shares with others: queues, quotas, locks and the notification channel.
 * `antequem-` and the first 16 hex digits of SHA-256 of the service origin. The SQL function `service_name()` gives the same.
 */
export function serviceName(origin: string): string {
  return `antequem-${toHex(sha256(utf8(origin))).slice(0, 16)}`;
}

/** Takes a lock that the processes of one service share, until the transaction ends. */
export async function takeLock(tx: Queryable, name: string): Promise<void> {
  await tx.query("SELECT pg_advisory_xact_lock(hashtextextended(concat(service_name(), ' ', $1::text), 0))", [name]);
}

/** Takes it only if it is free. @returns whether it did */
export async function tryLock(tx: Queryable, name: string): Promise<boolean> {
  const { rows } = await tx.query<{ locked: boolean | null }>(
    "SELECT pg_try_advisory_xact_lock(hashtextextended(concat(service_name(), ' ', $1::text), 0)) AS locked",
    [name],
  );
  return rows[0]?.locked === true;
}
