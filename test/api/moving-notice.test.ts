import { expect, test } from 'vitest';
import { MovingNotice } from '../../src/start/moving-notice.ts';
import { freePort } from '../support/free-port.ts';

test('while old entries are moved, requests are told how far that is, and the port is free afterwards', async () => {
  const port = await freePort();
  const notice = new MovingNotice({ host: '127.0.0.1', port, healthPort: null, roles: ['api'] }, undefined);
  notice.tell({ moved: 1_000, total: 5_000 });
  notice.tell({ moved: 2_000, total: 5_000 });
  const ask = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${port}${path}`);
  await expect
    .poll(() =>
      ask('/healthz').then(
        ({ status }) => status,
        () => null,
      ),
    )
    .toBe(200);
  const ready = await ask('/readyz');
  expect([ready.status, ready.headers.get('content-type'), ready.headers.get('retry-after')]).toEqual([
    503,
    'application/problem+json',
    '5',
  ]);
  expect(await ready.json()).toMatchObject({ code: 'database-unavailable', moved: 2_000, total: 5_000 });
  expect((await ask('/v1/logs')).status).toBe(503);
  await notice.close();
  await expect(ask('/healthz')).rejects.toThrow();
});

test('a worker tells it at its own port, and without one listens nowhere', async () => {
  const [port, healthPort] = [await freePort(), await freePort()];
  const telling = new MovingNotice({ host: '127.0.0.1', port, healthPort, roles: ['worker'] }, undefined);
  telling.tell({ moved: 1, total: 2 });
  await expect
    .poll(() =>
      fetch(`http://127.0.0.1:${healthPort}/readyz`).then(
        ({ status }) => status,
        () => null,
      ),
    )
    .toBe(503);
  await telling.close();
  const notice = new MovingNotice({ host: '127.0.0.1', port, healthPort: null, roles: ['worker'] }, undefined);
  notice.tell({ moved: 1, total: 2 });
  await notice.close();
  await expect(fetch(`http://127.0.0.1:${port}/healthz`)).rejects.toThrow();
});
