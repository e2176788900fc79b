import { readFileSync } from 'node:fs';
import { DigestIntake } from '../anchor/digests.ts';
import type { AuthorityService } from '../api/service.ts';
import type { Config } from '../config.ts';
import { AntequemError, messageOf } from '../core/errors.ts';
import type { Effects } from '../log/log.ts';
import type { Queryable } from '../store/database.ts';
import { Issuer } from '../tsa/issuer.ts';
import type { Foundation } from './foundation.ts';

/** How long a comparison of the clocks counts. */
const COMPARED_MS = 1_000;

/** Ourselves as a timestamp authority; null where that is off. @throws AntequemError `authority-unusable` */
export function openOwnAuthority(
  { ownAuthority }: Pick<Config, 'ownAuthority'>,
  { database, guard: { rollback } }: Pick<Foundation, 'database' | 'guard'>,
  effects: Effects,
): AuthorityService | null {
  if (ownAuthority === null) return null;
  const { certFile, keyFile, policy, perMinute } = ownAuthority;
  const intake = new DigestIntake({ database, effects, rollback });
  const issuer = new Issuer({
    certificates: read(certFile, 'TSA_SERVE_CERT_FILE'),
    key: read(keyFile, 'TSA_SERVE_KEY_FILE'),
    policy,
    now: effects.now,
    random: effects.random,
    clockAhead: comparedClocks(database, effects.now),
    log: (commitment) => intake.commit(commitment),
  });
  return { issuer, perMinute };
}

function read(file: string, setting: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(file));
  } catch (cause) {
    throw new AntequemError('authority-unusable', `${setting} cannot be read: ${messageOf(cause)}`, { cause });
  }
}

/** How far our clock is ahead of the database's, asked at most once a second. */
function comparedClocks(database: Queryable, now: () => number): () => Promise<number> {
  let known: { readonly ahead: Promise<number>; readonly until: number } | null = null;
  const ask = async (): Promise<number> => {
    const { rows } = await database.query<{ now: number }>(
      'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now',
    );
    return now() - (rows[0]?.now ?? 0);
  };
  return () => {
    if (known !== null && performance.now() < known.until) return known.ahead;
    const ahead = ask();
    known = { ahead, until: performance.now() + COMPARED_MS };
    ahead.catch(() => {
      known = null;
    });
    return ahead;
  };
}
