// Ten thousand logs get a new key and lose their old one, each in one transaction.

import { expect, test } from 'vitest';
import { checkNote, parseNote, parseVerifierKey } from '../../src/core/note.ts';
import type { Log } from '../../src/log/log.ts';
import { addKeys, retireKeys } from '../../src/log/rotation.ts';
import { ORIGIN, openInstance, SEED } from '../support/instance.ts';
import { testDatabase } from '../support/postgres.ts';

const LOGS = 10_000;

test(`${LOGS} logs in one rotation`, async () => {
  const server = await testDatabase();
  const instance = await openInstance(server.url, { connections: 1 });
  try {
    const names = Array.from({ length: LOGS }, (_, i) => `log-${i}`);
    const origins = names.map((name) => `${ORIGIN}/logs/${name}`);
    await instance.database.query(
      `WITH made AS (
         INSERT INTO logs (name, origin, log_id, blinded, created_at)
         SELECT name, origin, sha256(origin::bytea), true, 1 FROM unnest($1::text[], $2::text[]) AS u (name, origin)
         RETURNING id, origin
       ), heads AS (
         INSERT INTO log_heads
         SELECT id, 1 + n, sha256(origin::bytea), sha256(origin::bytea), 1
         FROM made JOIN unnest($2::text[]) WITH ORDINALITY AS o (origin, n) USING (origin)
       )
       INSERT INTO log_keys (log, number, public_key, created_at)
       SELECT id, 1, key, 1 FROM made JOIN unnest($2::text[], $3::bytea[]) AS k (origin, key) USING (origin)`,
      [names, origins, origins.map((origin) => Buffer.from(SEED.signer(origin).publicKey))],
    );
    await instance.closeRound();
    const logs: Log[] = [];
    for (let page = await instance.registry.list('', 1_000); page.length > 0; ) {
      logs.push(...page);
      page = await instance.registry.list(page.at(-1)?.name ?? '', 1_000);
    }
    const took = async (work: () => Promise<unknown>): Promise<number> => {
      const begin = performance.now();
      await work();
      return performance.now() - begin;
    };
    const added = await took(() => addKeys(instance, logs));
    const retired = await took(() =>
      retireKeys(
        instance,
        logs.map((log) => ({ log, number: null })),
        true,
      ),
    );
    const closed = await took(() => instance.closeRound());
    console.log(
      `${logs.length} logs: keys added in ${(added / 1_000).toFixed(1)} s, retired in ${(retired / 1_000).toFixed(1)} s; ` +
        `the next round in ${(closed / 1_000).toFixed(1)} s`,
    );
    const last = logs.at(-1);
    if (last === undefined) throw new Error('no logs');
    const note = parseNote((await instance.publisher.newest(last))?.note ?? '');
    for (const number of [1, 2]) {
      expect(checkNote(note, parseVerifierKey(SEED.signer(last.origin, number).verifierKey))).toBe('verified');
    }
  } finally {
    await instance.end();
    await server.drop();
  }
});
