import { expect, test } from 'vitest';
import { z } from 'zod';
import { testService } from '../support/service.ts';

const rounds = z.object({ rounds: z.array(z.object({ number: z.number(), size: z.number() })) });

test('enough entries close a round long before its time', async () => {
  const config = { roles: ['api', 'worker'], roundInterval: 3_600_000, roundEntries: 100 } as const;
  await using service = await testService({ config });
  const closed = async (): Promise<number> =>
    rounds.parse((await service.send('GET', '/v1/rounds')).json).rounds.length;
  const append = (lines: number) =>
    service.send('POST', '/v1/logs/busy/entries?split=lines', { body: 'x\n'.repeat(lines) });
  await service.send('PUT', '/v1/logs/busy');
  // A schedule that begins looks once at once: what it may close is out of the way first.
  expect((await append(1)).status).toBe(201);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  const before = await closed();

  expect((await append(98)).status).toBe(201);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect(await closed()).toBe(before);

  expect((await append(1)).status).toBe(201);
  await expect.poll(closed).toBe(before + 1);
});
