import type { HeaderSource } from '../../src/core/bitcoin-source.ts';
import type { CalendarClient } from '../../src/ots/calendar-client.ts';
import type { Database } from '../../src/store/database.ts';
import { bound, type Spoil, type Strike, spoiler, withSpoiltCommits } from './spoil.ts';

/** What stamping does to the outside or asks of it, and what it writes down of that, in the order in which it happens. */
export const OTS_EFFECTS = [
  'claim',
  'submit',
  'store submission',
  'claim upgrade',
  'upgrade',
  'store upgrade',
  'claim block',
  'header',
  'store confirmation',
] as const;
export type OtsEffect = (typeof OTS_EFFECTS)[number];

export interface OtsFault extends Strike {
  readonly effect: OtsEffect;
}

/** The parts of a target that reach outside. */
export interface OtsParts {
  readonly client: CalendarClient;
  readonly source: HeaderSource;
  readonly database: Database;
}

/** The parts, one of whose effects fails. */
export function withOtsFault(parts: OtsParts, { effect, ...strike }: OtsFault): OtsParts {
  const { client, source, database } = parts;
  const spoil = spoiler(strike);
  switch (effect) {
    case 'submit':
      return { ...parts, client: { ...client, submit: (...args) => spoil(() => client.submit(...args)) } };
    case 'upgrade':
      return { ...parts, client: { ...client, upgrade: (...args) => spoil(() => client.upgrade(...args)) } };
    case 'header':
      return { ...parts, source: { ...source, header: (height) => spoil(() => source.header(height)) } };
    case 'claim':
      return { ...parts, database: withSpoiltClaims(database, (ends) => ends === 'submit', spoil) };
    case 'claim upgrade':
      return { ...parts, database: withSpoiltClaims(database, (ends) => ends === 'upgrade', spoil) };
    case 'claim block':
      return { ...parts, database: withSpoiltClaims(database, (ends) => ends === 'block', spoil) };
    case 'store submission':
      return { ...parts, database: withSpoiltCommits(database, /INSERT INTO ots_requests/, spoil) };
    case 'store upgrade':
      return { ...parts, database: withSpoiltCommits(database, /INSERT INTO ots_attestations/, spoil) };
    case 'store confirmation':
      return { ...parts, database: withSpoiltCommits(database, /UPDATE ots_attestations SET state/, spoil) };
  }
}

/** Spoils claims that had something to claim. */
function withSpoiltClaims(
  database: Database,
  wanted: (what: 'submit' | 'upgrade' | 'block') => boolean,
  spoil: Spoil,
): Database {
  return new Proxy(database, {
    get: (pool, property) => {
      if (property !== 'query') return bound(pool, property);
      return async (text: string, values?: unknown[]) => {
        const run = () => pool.query(text, values);
        if (typeof text !== 'string') return run();
        const [what] = kindsOfClaim(text).filter(wanted);
        if (what === undefined) return run();
        const { rows } = await pool.query<{ waiting: boolean }>(WAITING[what]);
        return rows[0]?.waiting === true ? spoil(run) : run();
      };
    },
  });
}

const WAITING = {
  submit: `SELECT EXISTS (SELECT FROM ots_requests WHERE kind = 'submit' AND answered_at IS NULL) AS waiting`,
  upgrade: `SELECT EXISTS (SELECT FROM ots_requests WHERE kind = 'upgrade' AND answered_at IS NULL) AS waiting`,
  block: `SELECT EXISTS (SELECT FROM ots_attestations WHERE state <> 'buried') AS waiting`,
};

function kindsOfClaim(text: string): ('submit' | 'upgrade' | 'block')[] {
  if (text.startsWith('UPDATE ots_requests SET tried_at')) return ['submit', 'upgrade'];
  return text.startsWith('UPDATE ots_attestations a SET next_at') ? ['block'] : [];
}
