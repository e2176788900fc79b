import { afterAll, beforeAll, expect, test } from 'vitest';
import { Progress } from '../../src/store/progress.ts';
import { type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

let server: TestDatabase;
let one: Instance;

beforeAll(async () => {
  server = await testDatabase();
  one = await openInstance(server.url);
});

afterAll(async () => {
  await one?.end();
  await server?.drop();
});

const never = new AbortController().signal;
const listening = () =>
  expect
    .poll(
      async () =>
        (
          await one.database.query(
            `SELECT 1 FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'antequem progress'
               AND state = 'idle' AND query LIKE 'LISTEN%'`,
          )
        ).rowCount,
      { timeout: 5_000 },
    )
    .toBe(1);
/** Whether it resolved within the time. */
const within = async (ms: number, news: Promise<void>): Promise<boolean> => {
  const late = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), ms));
  return Promise.race([news.then(() => true), late]);
};

test('a closed round wakes all who wait, also after the connection was lost', async () => {
  const progress = Progress.listen(server.url);
  const log = await one.makeLog('demo');
  for (let i = 0; i < 2; i++) {
    await listening();
    const news = [progress.next(20_000, never), progress.next(20_000, never)];
    expect(progress.waiting).toBe(2);
    await one.append(log, 'a');
    expect(await within(50, Promise.race(news))).toBe(false);
    await one.closeRound();
    expect(
      await within(
        2_000,
        Promise.all(news).then(() => {}),
      ),
    ).toBe(true);
    expect(progress.waiting).toBe(0);
    if (i > 0) break;
    await one.database.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'antequem progress'`,
    );
  }
  await progress.close();
});

test('waiting ends with its time, its signal and the end of the service', async () => {
  const progress = Progress.listen(server.url);
  await listening();
  expect(await within(1_000, progress.next(20, never))).toBe(true);
  const gone = new AbortController();
  const news = progress.next(20_000, gone.signal);
  gone.abort();
  expect(await within(100, news)).toBe(true);
  expect(await within(100, progress.next(20_000, gone.signal))).toBe(true);
  const last = progress.next(20_000, never);
  await progress.close();
  expect(await within(100, last)).toBe(true);
  expect(await within(100, progress.next(20_000, never))).toBe(true);
  expect(progress.waiting).toBe(0);
});

test('it closes before it was connected, and where nothing can be reached', async () => {
  await Progress.listen(server.url).close();
  await Progress.listen('postgres://nobody@127.0.0.1:1/nothing').close();
  await expect
    .poll(
      async () =>
        (
          await one.database.query(`SELECT 1 FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'antequem progress'`)
        ).rowCount,
      { timeout: 3_000 },
    )
    .toBe(0);
});
