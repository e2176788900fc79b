import { expect, test } from 'vitest';
import { Findings } from '../../../src/audit/checks/findings.ts';
import { walkRounds } from '../../../src/audit/database/rounds.ts';
import { openDatabase } from '../../../src/store/database.ts';
import { ORIGIN, openInstance } from '../../support/instance.ts';
import { testDatabase } from '../../support/postgres.ts';

const LOGS = 1_500;

test('leaves of a round with many logs are read without files for their sorting', async () => {
  const server = await testDatabase();
  const one = await openInstance(server.url);
  const database = openDatabase(server.url, { connections: 1 });
  try {
    await one.append(await one.makeLog('demo'), 'entry');
    await one.database.query(
      `WITH made AS (INSERT INTO logs (name, origin, log_id, blinded, created_at)
                     SELECT 'log-' || n, 'origin ' || n, sha256(n::text::bytea), true, 1 FROM generate_series(1, ${LOGS}) n RETURNING id)
       INSERT INTO log_heads (log, size, root, last_leaf, last_received_at)
       SELECT id, 1, sha256(id::text::bytea), sha256(id::text::bytea), 1 FROM made`,
    );
    expect(await one.closeRound()).toMatchObject({ size: LOGS + 3 });
    await database.query("SET temp_file_limit = '1MB'");
    const findings = new Findings();
    expect(await walkRounds(database, ORIGIN, findings)).toBe(1);
    expect(findings.list()).toEqual([]);
  } finally {
    await database.end();
    await one.end();
    await server.drop();
  }
});
