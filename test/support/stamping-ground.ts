// Rounds of a database that authorities are to stamp, without a service around them.

import { addMissingAnchors } from '../../src/anchor/jobs.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { TsaTarget, type TsaTargetOptions } from '../../src/tsa/target.ts';
import { closeRounds, silent } from './anchoring.ts';
import type { TestAuthority } from './authority.ts';
import { testDatabase } from './postgres.ts';

/** An authority that is asked, and its CA. */
export type AskedAuthority = Pick<TestAuthority, 'url' | 'ca'>;

export const authorityConfig = (name: string, { url, ca }: AskedAuthority) => ({
  name,
  url,
  certificates: ca,
  policy: null,
  pace: 0,
  ephemeral: false,
});

export interface StampingGround extends AsyncDisposable {
  readonly database: Database;
  readonly target: (authority: AskedAuthority, options?: Partial<TsaTargetOptions>) => Promise<TsaTarget>;
  /** Closes a round and gives it to the targets. */
  readonly close: () => Promise<number>;
}

export async function stampingGround(): Promise<StampingGround> {
  const { url, drop } = await testDatabase();
  const database = openDatabase(url, { connections: 4 });
  const targets: TsaTarget[] = [];
  let nonces = 0;
  return {
    database,
    async target(authority, options = {}) {
      const target = new TsaTarget({
        ...authorityConfig('one', authority),
        firstRound: 1,
        retry: { first: 1, most: 1 },
        database,
        now: Date.now,
        randomNonce: () => new Uint8Array(8).fill(++nonces),
        logger: silent,
        ...options,
      });
      await target.register();
      targets.push(target);
      return target;
    },
    async close() {
      const [round = 0] = await closeRounds(database, 1);
      for (const { name } of targets) await addMissingAnchors(database, name, Date.now());
      return round;
    },
    async [Symbol.asyncDispose]() {
      for (const target of targets) target.close();
      await database.end();
      await drop();
    },
  };
}
