import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Webhook as Verifier } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openReceiver } from '../support/receiver.ts';
import { type TestService, testService } from '../support/service.ts';

const OPERATION = { rateLimit: null, metricsTokenFile: null, drainDelay: 0, webhookAllowPrivate: true };

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(50);
}

describe('a service with a worker', () => {
  let service: TestService;
  beforeAll(async () => {
    service = await testService({
      open: false,
      config: { roles: ['api', 'worker'], roundInterval: 300, operation: OPERATION },
    });
  });
  afterAll(() => service[Symbol.asyncDispose]());

  it('notifies its webhooks, despite one receiver that hangs and one that is unreachable', async () => {
    await using receiver = await openReceiver();
    await using slow = await openReceiver();
    const hanging: ServerResponse[] = [];
    slow.answer = (_, response) => void hanging.push(response);
    const { token } = await service.key(['admin']);
    const create = (url: string) => service.send('POST', '/v1/webhooks', { token, body: { url } });
    const made = await create(receiver.url);
    expect(made.status).toBe(201);
    expect(made.json).toMatchObject({
      id: expect.stringMatching(/^wh_[0-9a-f]{16}$/),
      url: receiver.url,
      description: '',
      disabledAt: null,
      deliveries: { pending: 0, delivered: 0, dead: 0 },
      secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/),
    });
    const slowId = String((await create(slow.url)).at('id'));
    const gone = (await create('http://127.0.0.1:9/')).at('id');
    await service.send('PUT', '/v1/logs/demo', { token });
    for (let round = 1; round <= 3; round++) {
      await service.send('POST', '/v1/logs/demo/entries', { token, body: `entry ${round}` });
      await until(() => receiver.received.some(({ data }) => data.number === round));
    }
    // Those that hang are still hanging: no more than a few at once.
    expect(slow.received.length).toBeGreaterThan(0);
    expect(slow.received.length).toBeLessThanOrEqual(4);
    const [first] = receiver.received;
    if (first === undefined) throw new Error('nothing came');
    const verified: unknown = new Verifier(String(made.at('secret'))).verify(first.body, first.headers);
    const { json: round } = await service.send('GET', '/v1/rounds/1', { token });
    expect(round).toMatchObject({ root: first.data.root, closedAt: first.data.closedAt });
    expect(verified).toMatchObject({ type: 'round.closed', data: first.data });
    expect(first.data.logs).toContainEqual({ log: 'demo', from: 0, size: 1 });

    const all = await service.send('GET', '/v1/webhooks', { token });
    expect(all.text).not.toContain('whsec_');
    await until(async () => {
      const failing = await service.send('GET', `/v1/webhooks/${gone}`, { token });
      return String(failing.at('problem')).includes('ECONNREFUSED');
    });
    const settled = async (): Promise<boolean> =>
      (await service.send('GET', `/v1/webhooks/${made.at('id')}`, { token })).at('deliveries', 'pending') === 0;
    await until(settled);
    const page = await service.send('GET', `/v1/webhooks/${made.at('id')}/deliveries?limit=2`, { token });
    expect(page.at('deliveries', 0)).toMatchObject({ id: expect.stringMatching(/^msg_/), type: 'round.closed' });
    const rest = await service.send('GET', `/v1/webhooks/${made.at('id')}/deliveries?before=${page.at('next')}`, {
      token,
    });
    expect(rest.at('deliveries', 0)).toMatchObject({ id: first.id, status: 'delivered', answered: 204, attempts: 1 });

    const replay = (body: object) => service.send('POST', `/v1/webhooks/${made.at('id')}/replay`, { token, body });
    expect((await replay({ delivery: first.id })).json).toEqual({ replayed: 1 });
    await until(() => receiver.received.filter(({ id }) => id === first.id).length === 2);
    await until(settled);
    expect((await replay({ since: '2000-01-01T00:00:00.000Z' })).at('replayed')).toBeGreaterThanOrEqual(3);
    await until(settled);
    expect((await replay({ status: 'dead' })).json).toEqual({ replayed: 0 });

    expect((await service.send('DELETE', `/v1/webhooks/${slowId}`, { token })).json).toEqual({
      id: slowId,
      deleted: true,
    });
    expect((await service.send('GET', `/v1/webhooks/${slowId}`, { token })).code).toBe('webhook-not-found');
    for (const response of hanging) response.end();
  });

  it('lets only an admin of all logs manage webhooks', async () => {
    const keys = await Promise.all([service.key(['read', 'append']), service.key(['admin'], ['demo'])]);
    const calls = [
      ['POST', '/v1/webhooks'],
      ['GET', '/v1/webhooks'],
      ['GET', '/v1/webhooks/wh_0000000000000000'],
      ['DELETE', '/v1/webhooks/wh_0000000000000000'],
      ['GET', '/v1/webhooks/wh_0000000000000000/deliveries'],
      ['POST', '/v1/webhooks/wh_0000000000000000/replay'],
    ] as const;
    for (const [method, path] of calls) {
      expect([path, (await service.send(method, path)).status]).toEqual([path, 401]);
      for (const { token } of keys) {
        expect([path, (await service.send(method, path, { token })).status]).toEqual([path, 403]);
      }
    }
  });

  it('refuses invalid requests', async () => {
    const { token } = await service.key(['admin']);
    const bad: [string, unknown, number, string][] = [
      ['/v1/webhooks', { url: 'gopher://x/' }, 400, 'webhook-url-invalid'],
      ['/v1/webhooks', { url: 'https://example.org/', events: [] }, 400, 'webhook-invalid'],
      ['/v1/webhooks', { url: 'https://example.org/', events: ['round.opened'] }, 400, 'webhook-invalid'],
      ['/v1/webhooks', { url: 'https://example.org/', secret: 'mine' }, 400, 'webhook-invalid'],
      ['/v1/webhooks', { url: 'https://example.org/', description: 'x\n' }, 400, 'webhook-invalid'],
      ['/v1/webhooks', [], 400, 'webhook-invalid'],
      ['/v1/webhooks/wh_0000000000000000/replay', { status: 'dead' }, 404, 'webhook-not-found'],
      ['/v1/webhooks/wh_0000000000000000/replay', { since: '2026-02-30T00:00:00.000Z' }, 400, 'webhook-invalid'],
      ['/v1/webhooks/wh_0000000000000000/replay', {}, 400, 'webhook-invalid'],
      ['/v1/webhooks/%00/replay', { status: 'dead' }, 404, 'webhook-not-found'],
    ];
    for (const [path, body, status, code] of bad) {
      const answer = await service.send('POST', path, { token, body: JSON.stringify(body) });
      expect([body, answer.status, answer.code]).toEqual([body, status, code]);
    }
  });
});
