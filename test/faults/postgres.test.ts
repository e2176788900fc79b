import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { expect, test } from 'vitest';
import { PublishedFile } from '../../src/log/outside/published-file.ts';
import { Fleet } from '../support/fleet.ts';
import { checkFleet } from '../support/fleet-check.ts';
import { OwnPostgres } from '../support/own-postgres.ts';

const refusalsOf = (fleet: Fleet): string =>
  [...fleet.refusals].map(([why, times]) => `${why} ${times}`).join(', ') || 'none';

async function openFleet(postgres: OwnPostgres, entryBytes = 20): Promise<Fleet> {
  const roles = ['api,worker'];
  return Fleet.open({
    databaseUrl: postgres.url,
    guardFile: true,
    roles,
    clients: 8,
    logs: ['one', 'two'],
    entryBytes,
  });
}

/** More was answered than before: how many milliseconds that took. */
async function untilAnswered(fleet: Fleet): Promise<number> {
  const before = fleet.told.length;
  const start = performance.now();
  await expect.poll(() => fleet.told.length, { timeout: 120_000, interval: 20 }).toBeGreaterThan(before);
  return Math.round(performance.now() - start);
}

async function ask(url: string, sql: string): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rowCount ?? 0;
  } finally {
    await client.end();
  }
}

test('PostgreSQL restarted under load, gently and by a crash, and its connections cut: errors, and then it goes on', {
  timeout: 600_000,
}, async () => {
  const postgres = await OwnPostgres.open();
  const fleet = await openFleet(postgres);
  const back: string[] = [];
  try {
    fleet.load();
    for (const how of ['fast', 'immediate', 'fast', 'immediate'] as const) {
      await untilAnswered(fleet);
      await sleep(200);
      await postgres.stop(how);
      await sleep(300);
      expect(await fleet.isReady()).toBe(false);
      await postgres.start();
      back.push(`${how}: answers again after ${await untilAnswered(fleet)} ms`);
    }
    let cut = 0;
    for (let i = 0; i < 6; i++) {
      await untilAnswered(fleet);
      cut += await ask(
        postgres.direct,
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'antequem%'`,
      );
      await sleep(100);
    }
    await untilAnswered(fleet);
    await fleet.settle();
    expect(await fleet.isReady()).toBe(true);
    const { entries, rounds } = await checkFleet(fleet, postgres.direct, new PublishedFile(fleet.guardFile));
    expect(fleet.refusals.get('503')).toBeGreaterThan(0);
    expect(cut).toBeGreaterThan(10);
    console.log(
      `${back.join('; ')}; ${cut} connections cut; ${fleet.told.length} requests answered, ${entries} entries, each there once, ` +
        `${rounds} rounds, each anchored once; instead of an answer: ${refusalsOf(fleet)}`,
    );
  } finally {
    await fleet.close();
    await postgres.close();
  }
});

/** Why there is no disk of a few megabytes to fill; null: there is. */
const noDisk = ((): string | null => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return 'only root on Linux can make a small file system';
  const folder = mkdtempSync(join(tmpdir(), 'antequem-mount-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder]).status === 0;
  if (mounted) spawnSync('umount', [folder]);
  rmSync(folder, { recursive: true });
  return mounted ? null : 'mounting a tmpfs is not allowed here';
})();

test('the disk of PostgreSQL full: errors, and when there is room again it goes on', { timeout: 600_000 }, async ({
  skip,
}) => {
  if (noDisk !== null) skip(noDisk);
  const disk = mkdtempSync(join(tmpdir(), 'antequem-disk-'));
  expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=320m,mode=755', 'tmpfs', disk]).status).toBe(0);
  try {
    chmodSync(disk, 0o755);
    const postgres = await OwnPostgres.open(disk, { max_wal_size: '64MB', min_wal_size: '32MB' });
    const fleet = await openFleet(postgres, 2_000);
    try {
      fleet.load();
      await untilAnswered(fleet);
      // All but a little is taken by somebody else, and that little by us.
      const { bavail, bsize } = statfsSync(disk);
      writeFileSync(join(disk, 'filler'), Buffer.alloc(Math.max(0, bavail * bsize - (24 << 20))));
      const refused = (): number => (fleet.refusals.get('503') ?? 0) + (fleet.refusals.get('500') ?? 0);
      await expect.poll(refused, { timeout: 120_000, interval: 50 }).toBeGreaterThan(20);
      const stuck = fleet.told.length;
      await sleep(1_000);
      const during = fleet.told.length - stuck;
      const died = !postgres.running;
      rmSync(join(disk, 'filler'));
      // Without room for its journal the server may give up: then somebody starts it again.
      if (died) await postgres.start();
      const back = await untilAnswered(fleet);
      await fleet.settle();
      const { entries, rounds } = await checkFleet(fleet, postgres.direct, new PublishedFile(fleet.guardFile));
      console.log(
        `disk full${died ? ', the server ended of it' : ''}: ${during} answers in a second; with room again answers after ${back} ms; ` +
          `${fleet.told.length} requests answered, ${entries} entries, each there once, ${rounds} rounds, each anchored once; ` +
          `instead of an answer: ${refusalsOf(fleet)}`,
      );
    } finally {
      await fleet.close();
      await postgres.close();
    }
  } finally {
    spawnSync('umount', ['-l', disk]);
    rmSync(disk, { recursive: true, force: true });
  }
});
