import { afterAll, beforeAll, expect, test } from 'vitest';
import { Notifications } from '../../src/store/notifications.ts';
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
             WHERE datname = current_database() AND application_name = 'antequem notifications'
               AND state = 'idle' AND query LIKE 'LISTEN%'`,
          )
        ).rowCount,
    )
    .toBe(1);
/** Whether it resolved within the time. */
const within = async (ms: number, news: Promise<void>): Promise<boolean> => {
  const late = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), ms));
  return Promise.race([news.then(() => true), late]);
};

test('a closed round wakes all who wait, also after the connection was lost', async () => {
  const notifications = Notifications.listen(server.url);
  const log = await one.makeLog('demo');
  for (let i = 0; i < 2; i++) {
    await listening();
    const news = [notifications.next(20_000, never), notifications.next(20_000, never)];
    expect(notifications.waiting).toBe(2);
    await one.append(log, 'a');
    expect(await within(50, Promise.race(news))).toBe(false);
    await one.closeRound();
    expect(
      await within(
        2_000,
        Promise.all(news).then(() => {}),
      ),
    ).toBe(true);
    expect(notifications.waiting).toBe(0);
    if (i > 0) break;
    await one.database.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'antequem notifications'`,
    );
  }
  await notifications.close();
});

test('waiting ends with its time, its signal and the end of the service', async () => {
  const notifications = Notifications.listen(server.url);
  await listening();
  expect(await within(1_000, notifications.next(20, never))).toBe(true);
  const gone = new AbortController();
  const news = notifications.next(20_000, gone.signal);
  gone.abort();
  expect(await within(100, news)).toBe(true);
  expect(await within(100, notifications.next(20_000, gone.signal))).toBe(true);
  const last = notifications.next(20_000, never);
  await notifications.close();
  expect(await within(100, last)).toBe(true);
  expect(await within(100, notifications.next(20_000, never))).toBe(true);
  expect(notifications.waiting).toBe(0);
});

test('it closes before it was connected, and where nothing can be reached', async () => {
  await Notifications.listen(server.url).close();
  await Notifications.listen('postgres://nobody@127.0.0.1:1/nothing').close();
  await expect
    .poll(
      async () =>
        (
          await one.database.query(`SELECT 1 FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'antequem notifications'`)
        ).rowCount,
    )
    .toBe(0);
});
