import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { body, call, expectCivil, headers, query } from '../support/hostile-requests.ts';
import { testDatabase } from '../support/postgres.ts';
import { documentedProblems } from '../support/problems.ts';
import { requestText, sendRaw } from '../support/raw-http.ts';
import { startServiceChild } from '../support/service-child.ts';

const MIB = 1 << 20;

test('10,000 hostile requests: only 2xx and 4xx, memory flat', async () => {
  const documented = await documentedProblems();
  const database = await testDatabase();
  const folder = await mkdtemp(join(tmpdir(), 'antequem-hostile-'));
  const seed = join(folder, 'seed');
  await writeFile(seed, randomBytes(32).toString('hex'));
  const service = await startServiceChild({
    DATABASE_URL: database.url,
    ORIGIN: 'log.test',
    LOG_SEED_FILE: seed,
    PORT: '0',
    ROLES: 'api',
  });
  try {
    const url = service.url ?? '';
    await fetch(`${url}/v1/logs/demo`, { method: 'PUT' });
    await fetch(`${url}/v1/logs/demo/entries?split=lines`, { method: 'POST', body: 'a\nb\nc' });
    const statuses = new Map<number, number>();
    const attack = (runs: number): Promise<void> =>
      fc.assert(
        fc.asyncProperty(call, query, headers, body, async ([verb, target], search, head, content) => {
          const answer = await sendRaw(url, requestText(verb, target + search, head, content));
          statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
          expectCivil(answer, documented);
        }),
        { numRuns: runs, endOnFailure: true },
      );
    // What is compiled and cached once is no leak.
    await attack(2_000);
    const before = { heap: await service.heap(), rss: await service.memory() };
    await attack(10_000);
    const heap = (await service.heap()) - before.heap;
    const rss = (await service.memory()) - before.rss;
    console.log(
      `12,000 requests: ${[...statuses]
        .sort(([a], [b]) => a - b)
        .map(([status, count]) => `${count} × ${status}`)
        .join(', ')}; ` +
        `heap in use ${(before.heap / MIB).toFixed(1)} MiB, ${(heap / MIB).toFixed(1)} more after the last 10,000; ` +
        `resident ${Math.round(before.rss / MIB)} MiB, ${Math.round(rss / MIB)} more`,
    );
    expect([...statuses.keys()].filter((status) => status < 200 || status >= 500)).toEqual([]);
    expect(heap).toBeLessThan(8 * MIB);
    // The collector takes its time; what it may take is bounded by itself.
    expect(rss).toBeLessThan(200 * MIB);
  } finally {
    await service.stop();
    await database.drop();
    await rm(folder, { recursive: true });
  }
});
