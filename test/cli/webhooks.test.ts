import { afterAll, beforeAll, expect, test } from 'vitest';
import { openReceiver, type Receiver } from '../support/receiver.ts';
import { type TestService, testService } from '../support/service.ts';
import { type Ran, run } from './command.ts';

let service: TestService;
let receiver: Receiver;
let env: Record<string, string>;

beforeAll(async () => {
  const operation = { rateLimit: null, metricsTokenFile: null, drainDelay: 0, webhookAllowPrivate: true };
  [service, receiver] = await Promise.all([testService({ open: false, config: { operation } }), openReceiver()]);
  env = { ANTEQUEM_URL: service.url, ANTEQUEM_API_KEY: (await service.key(['admin'])).token };
});
afterAll(async () => {
  await receiver[Symbol.asyncDispose]();
  await service[Symbol.asyncDispose]();
});

const webhooks = (...args: string[]): Promise<Ran> => run(['webhooks', ...args], { env });

test('a webhook from its creation to its deletion', async () => {
  expect(await webhooks('list')).toEqual({
    code: 0,
    stdout: '',
    stderr: 'there is no webhook; antequem webhooks create URL makes one\n',
  });
  const made = await webhooks('create', receiver.url, '--event', 'round.closed', '--description', 'for tests');
  expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=\n$/) });
  const [, id = ''] = /^webhook (wh_[0-9a-f]{16}) to http/.exec(made.stderr) ?? [];
  await service.foundation.database.query(
    `INSERT INTO rounds (number, closed_at, previous_root, root, size, beacons) VALUES (1, 5, sha256(''), sha256('1'), 1, '[]')`,
  );
  await service.foundation.database.query(
    "UPDATE webhook_deliveries SET status = 'dead', attempts = 10, problem = 'answered 500'",
  );
  const listed = await webhooks('list');
  expect(listed.stdout).toContain(`${id}  ${receiver.url}  active\n`);
  expect(listed.stdout).toContain('round.closed  (for tests)\n  0 pending, 0 delivered, 1 dead; answered 500');
  const dead = await webhooks('deliveries', id, '--status', 'dead');
  expect(dead).toMatchObject({ code: 0, stderr: '' });
  expect(dead.stdout).toMatch(/^msg_[0-9a-f]{32} {2}round\.closed {8}1970-01-01T00:00:00\.005Z {2}dead, 10 attempts\n/);
  expect((await webhooks('replay', id)).stdout).toBe('1 delivery due again\n');
  const page = await webhooks('deliveries', id, '--json');
  expect(JSON.parse(page.stdout)).toMatchObject({ deliveries: [{ status: 'pending', attempts: 0 }] });
  expect((await webhooks('delete', id, '--json')).stdout).toContain('"deleted": true');
  expect(await webhooks('delete', id)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`there is no webhook ${id}`),
  });
});

test('faults are reported before anything is sent', async () => {
  for (const args of [
    ['create', receiver.url, '--event', 'round.opened'],
    ['replay', 'wh_0000000000000000', '--since', 'yesterday'],
    ['deliveries', 'wh_0000000000000000', '--status', 'lost'],
  ]) {
    const { code, stdout, stderr } = await webhooks(...args);
    expect([args, code, stdout]).toEqual([args, 1, '']);
    expect(stderr).toMatch(/^error: /);
  }
  const refused = await webhooks('create', 'ftp://hooks.example.org/');
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('must begin with https://') });
});
