import type { Database } from '../../src/store/database.ts';

/** Whether it took place when it is reported to have failed, or the process dies. */
export const MOMENTS = ['failed', 'done but reported failed'] as const;
export type Moment = (typeof MOMENTS)[number];

/** When and how an effect is struck. */
export interface Strike {
  readonly moment: Moment;
  /** Whether this occurrence is struck, counted from 1. */
  readonly due: (occurrence: number) => boolean;
  /** What strikes: throws, or ends the process and never returns. */
  readonly strike: () => Promise<never>;
}

/** Does the work, or spoils it; `undo` cleans up after what did not take place. */
export type Spoil = <T>(work: () => Promise<T>, undo?: () => Promise<unknown>) => Promise<T>;

export function spoiler({ moment, due, strike }: Strike): Spoil {
  let occurrence = 0;
  return async (work, undo = async () => {}) => {
    occurrence += 1;
    if (!due(occurrence)) return work();
    if (moment === 'failed') {
      // A process that is killed has nobody to clean up after it.
      return strike().catch(async (error: unknown) => {
        await undo();
        throw error;
      });
    }
    await work();
    return strike();
  };
}

/** A member of what is behind a proxy. */
export function bound(target: object, property: string | symbol): unknown {
  const value: unknown = Reflect.get(target, property);
  return typeof value === 'function' ? value.bind(target) : value;
}

/** Spoils the commit of whatever writes this. */
export function withSpoiltCommits(database: Database, writes: RegExp, spoil: Spoil): Database {
  return new Proxy(database, {
    get: (pool, property) => {
      if (property !== 'connect') return bound(pool, property);
      return async () => {
        const client = await pool.connect();
        let storing = false;
        return new Proxy(client, {
          get: (connection, name) => {
            if (name !== 'query') return bound(connection, name);
            return (text: string, values?: unknown[]) => {
              if (writes.test(text)) storing = true;
              const run = () => connection.query(text, values);
              return text === 'COMMIT' && storing ? spoil(run, () => connection.query('ROLLBACK')) : run();
            };
          },
        });
      };
    },
  });
}
