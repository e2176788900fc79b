// A service's history on a real database and a real chain, and copies of it to tamper with.

import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { addMissingAnchors } from '../../src/anchor/jobs.ts';
import { claimDeclaration } from '../../src/evm/account.ts';
import { ANCHOR_ADDRESS } from '../../src/evm/anchor-contract.ts';
import { keySigner } from '../../src/evm/signer.ts';
import { EvmTarget } from '../../src/evm/target.ts';
import { eraseEntry } from '../../src/log/erase.ts';
import type { Log } from '../../src/log/log.ts';
import { recordedTransaction } from '../../src/log/system.ts';
import { SENDER_KEY, silent } from './anchoring.ts';
import { type Clock, draft, drafts, type Instance } from './instance.ts';
import { createDatabase, dropDatabase, type TestDatabase } from './postgres.ts';

/** A copy of a database that nobody is connected to. */
export async function copyOf(database: TestDatabase): Promise<TestDatabase> {
  const { url } = inject('postgres');
  const name = `antequem_test_${randomBytes(6).toString('hex')}`;
  return { url: await createDatabase(url, name, database.name), name, drop: () => dropDatabase(url, name) };
}

/** SQL as whoever administers the database has it: no trigger and no foreign key stands in the way. */
export async function asAdministrator<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query('SET session_replication_role = replica');
    return await work(client);
  } finally {
    await client.end();
  }
}

/** What is written into the logs. */
export interface Story {
  /** The 58th entry of `demo`, index 57. */
  readonly secret: string;
}

export const TRUTH: Story = { secret: 'paid 100 to Alice' };

/** Two rounds over `demo` (600 entries) and `plain` (40), with erasures and keys; `closed` is told of each round. */
export async function writeBeginning(instance: Instance, story: Story, closed: () => Promise<void>): Promise<void> {
  const { appender, sequencing, registry, database, keys, publisher } = instance;
  await keys.create('operations', ['admin'], null);
  const lost = await keys.create('lost', ['read'], ['demo']);
  await keys.revoke(lost.key.id);
  const demo = await instance.makeLog('demo');
  const plain = await instance.makeLog('plain', false);
  await instance.makeLog('empty');
  const digest = new Uint8Array(32).fill(9);
  const first = [
    ...drafts(57, 'demo'),
    draft(story.secret),
    draft(new Uint8Array(9_000).fill(65)),
    { digest, payload: null },
    ...drafts(240, 'more'),
  ];
  await appender.append(demo, { drafts: first, idempotency: null });
  await appender.append(plain, { drafts: drafts(40, 'plain'), idempotency: null });
  await publisher.current(demo);
  await instance.closeRound();
  await closed();
  const erase = (log: Log, index: number): Promise<boolean> =>
    eraseEntry(database, registry.system, sequencing, log, index, instance.holds);
  await erase(demo, 7);
  await erase(plain, 3);
  await appender.append(demo, { drafts: drafts(150, 'second'), idempotency: null });
  await publisher.current(demo);
  await appender.append(demo, { drafts: drafts(150, 'third'), idempotency: null });
  await instance.closeRound();
  await closed();
}

/** One more round, and some entries that are in none. */
export async function writeEnd(instance: Instance, closed: () => Promise<void>): Promise<void> {
  const demo = await instance.makeLog('demo');
  const plain = await instance.makeLog('plain', false);
  await instance.append(demo, ...Array.from({ length: 50 }, (_, i) => `late ${i}`));
  await instance.append(plain, ...Array.from({ length: 10 }, (_, i) => `late ${i}`));
  await instance.closeRound();
  await closed();
  await instance.append(demo, 'in no round yet');
}

/** Anchors every round that is not, by the service's own account. */
export async function anchorAll(
  instance: Pick<Instance, 'database' | 'registry' | 'sequencing'> & { readonly clock: Pick<Clock, 'now'> },
  rpcUrl: string,
): Promise<void> {
  const { database, registry, sequencing, clock } = instance;
  const target = new EvmTarget({
    name: 'local',
    chainId: 31337,
    rpcUrls: [rpcUrl],
    contract: ANCHOR_ADDRESS,
    storeEvery: 'always',
    signer: keySigner(SENDER_KEY),
    ephemeral: true,
    pollInterval: 20,
    resendAfter: 0,
    database,
    now: clock.now,
    logger: silent,
    declareSender: (account) =>
      recordedTransaction(database, registry.system, sequencing, async (tx) => ({
        result: undefined,
        acts: (await claimDeclaration(tx, account, clock.now())) ? [{ act: 'sender-declared', ...account }] : [],
      })),
  });
  try {
    await target.register();
    const rounds = await addMissingAnchors(database, target.name, clock.now());
    for (let i = 0; i < 50; i++) {
      const outcome = await target.advance(rounds);
      if ([...outcome.values()].every((again) => again === null)) return;
    }
    throw new Error('the rounds were not anchored');
  } finally {
    target.close();
  }
}

/** All that is not about anchoring. */
const HISTORY = [
  'logs',
  'log_heads',
  'log_keys',
  'blocks',
  'digest_batches',
  'digest_runs',
  'merged_digests',
  'tiles',
  'checkpoints',
  'rounds',
  'packed_leaves',
  'round_logs',
  'api_keys',
];

/** Puts the logs and rounds of one database in the place of another's, and leaves what was anchored as it is. */
export async function transplant(
  from: string,
  to: string,
  tables: readonly string[] = HISTORY,
  where = 'true',
): Promise<void> {
  await asAdministrator(from, (source) =>
    asAdministrator(to, async (target) => {
      await target.query('BEGIN');
      for (const table of tables) {
        const condition = table === 'logs' ? where.replace('log ', 'id ') : where;
        const { rows } = await source.query<{ rows: unknown }>(
          `SELECT coalesce(json_agg(t), '[]') AS rows FROM ${table} t WHERE ${condition}`,
        );
        await target.query(`DELETE FROM ${table} WHERE ${condition}`);
        await target.query(
          `INSERT INTO ${table} OVERRIDING SYSTEM VALUE SELECT * FROM json_populate_recordset(NULL::${table}, $1)`,
          [JSON.stringify(rows[0]?.rows)],
        );
      }
      await target.query('COMMIT');
    }),
  );
}
