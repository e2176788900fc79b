import { randomBytes } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startPostgres } from '../../scripts/local/postgres.ts';
import { migrate } from '../../src/store/migrate.ts';
import { DebianPostgres } from './debian-postgres.ts';
import { createDatabase, dropDatabase } from './postgres.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** A server on which a test may make databases, and one of them that is migrated, to make others from. */
    postgres: { url: string; template: string };
  }
}

/** No test stops the machine, and each database is thrown away: without the disk, dropping one takes a tenth of the time. */
const SETTINGS = { fsync: 'off', full_page_writes: 'off', wal_compression: 'off' };

/**
 * One server for the whole run. TEST_POSTGRES=15 takes Debian's of that version in place of the
 * embedded one; TEST_DATABASE_URL names a server that runs already.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env.TEST_DATABASE_URL;
  const server = given ? null : await startServer(process.env.TEST_POSTGRES);
  const url = server?.url ?? given ?? '';
  const template = `antequem_template_${randomBytes(4).toString('hex')}`;
  await migrate(await createDatabase(url, template));
  project.provide('postgres', { url, template });
  return async () => {
    if (server === null) await dropDatabase(url, template);
    else await server.stop();
  };
}

async function startServer(version: string | undefined): Promise<{ url: string; stop: () => Promise<void> }> {
  if (version === undefined) {
    return startPostgres({
      dataDir: mkdtempSync(join(tmpdir(), 'antequem-test-')),
      disposable: true,
      settings: SETTINGS,
    });
  }
  const server = await DebianPostgres.open({ version, settings: SETTINGS });
  return { url: server.url(), stop: () => server.close() };
}
