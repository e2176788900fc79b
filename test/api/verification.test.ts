import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { fromHex, toBase64, utf8 } from '../../src/core/bytes.ts';
import { serializeAttestation } from '../../src/ots/attestation.ts';
import { verify } from '../../src/verify/verify.ts';
import { testDatabase } from '../support/postgres.ts';
import { testService } from '../support/service.ts';
import { type ServiceChild, startServiceChild } from '../support/service-child.ts';

const receiptForm = z.looseObject({ round: z.looseObject({ root: z.string() }), anchors: z.array(z.unknown()) });
const verdictForm = z.looseObject({ result: z.string(), claims: z.array(z.looseObject({ code: z.string() })) });

/** Operations of one byte each, in lines of 250, every one with an attestation at its end. */
function longTimestamp(operations: number): string {
  const attestation = Buffer.from(serializeAttestation({ kind: 'bitcoin', height: 7 }));
  const lines: Buffer[] = [];
  for (let left = operations; left > 0; left -= 250) {
    const line = Buffer.alloc(Math.min(250, left), 0x08);
    // Each line begins with another operation, or they would be one.
    const first = Buffer.from([0xf0, 0x02, lines.length >> 8, lines.length & 0xff]);
    lines.push(Buffer.concat([first, line, Buffer.of(0x00), attestation]));
  }
  const forks = lines.map((line, i) => (i < lines.length - 1 ? Buffer.concat([Buffer.of(0xff), line]) : line));
  return toBase64(Buffer.concat(forks));
}

function anchors(count: number, operations: number): object[] {
  const timestamp = longTimestamp(operations);
  return Array.from({ length: count }, () => ({ type: 'opentimestamps', status: 'pending', timestamp }));
}

describe('POST /v1/verify in a service with 128 MB of heap', () => {
  let database: Awaited<ReturnType<typeof testDatabase>>;
  let folder: string;
  let child: ServiceChild;
  let receipt: z.output<typeof receiptForm>;
  const post = async (body: string) => {
    const response = await fetch(`${child.url}/v1/verify`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
    });
    return { status: response.status, text: await response.text() };
  };

  beforeAll(async () => {
    [database, folder] = await Promise.all([testDatabase(), mkdtemp(join(tmpdir(), 'antequem-verification-'))]);
    await writeFile(join(folder, 'seed'), '07'.repeat(32));
    const settings = { DATABASE_URL: database.url, ORIGIN: 'log.test', LOG_SEED_FILE: join(folder, 'seed'), PORT: '0' };
    child = await startServiceChild(
      { ...settings, ROLES: 'api,worker', ROUND_INTERVAL: '500ms' },
      { NODE_OPTIONS: '--max-old-space-size=128' },
    );
    await fetch(`${child.url}/v1/logs/a`, { method: 'PUT' });
    await fetch(`${child.url}/v1/logs/a/entries`, { method: 'POST', body: 'content' });
    const answer = await fetch(`${child.url}/v1/logs/a/entries/0/receipt?wait=30&until=round`);
    receipt = receiptForm.parse(await answer.json());
  });
  afterAll(async () => {
    await child.kill();
    await database.drop();
    await rm(folder, { recursive: true });
  });

  const payload = toBase64(utf8('content'));
  const other = toBase64(Buffer.alloc(1_500_000, 'x'));
  const HEAVY: [string, () => object[], string, string?][] = [
    ['the largest body', () => anchors(16, 26_000), 'content-differs', other],
    ['16 anchors with more operations than a receipt may have', () => anchors(16, 26_000), 'proof-not-read'],
    ['16 anchors with as many as it may have', () => anchors(16, 1_200), 'bitcoin-source-missing'],
    ['one anchor with as many as it may have', () => anchors(1, 19_500), 'bitcoin-source-missing'],
  ];

  test.each(HEAVY)(
    '%s: others are answered meanwhile, and the memory comes back',
    async (_, make, code, given = payload) => {
      const body = JSON.stringify({ receipt: { ...receipt, anchors: make() }, payload: given });
      await post(JSON.stringify({ receipt, payload }));
      const before = await child.heap();
      await child.delay();
      const begin = performance.now();
      let healthy = 0;
      let over = false;
      const asking = (async () => {
        while (!over) {
          if ((await fetch(`${child.url}/healthz`)).status === 200) healthy++;
          await sleep(5);
        }
      })();
      const answers = await Promise.all(Array.from({ length: 8 }, () => post(body)));
      const ms = performance.now() - begin;
      over = true;
      await asking;
      for (const { status, text } of answers) {
        expect(status).toBe(200);
        const { result, claims } = verdictForm.parse(JSON.parse(text));
        expect([result, claims.some((claim) => claim.code === code)]).toEqual([
          given === payload ? 'unproven' : 'refuted',
          true,
        ]);
      }
      expect(healthy).toBeGreaterThan(3);
      const held = await child.delay();
      const grown = ((await child.heap()) - before) / 1e6;
      expect(grown).toBeLessThan(30);
      console.log(
        `${Math.round(body.length / 1_000)} kB, eight at once: ${Math.round(ms)} ms; event loop held ${held.toFixed(0)} ms at most; ` +
          `/healthz answered ${healthy} times meanwhile; heap ${grown.toFixed(1)} MB more, ${Math.round((await child.memory()) / 1e6)} MB in all`,
      );
    },
  );

  test('the same budget holds in the verifier itself', async () => {
    const over = await verify({ proof: { ...receipt, anchors: anchors(16, 26_000) }, payload: utf8('content') }, {});
    expect(over.claims.filter(({ code }) => code === 'proof-not-read')).toHaveLength(16);
    const within = await verify({ proof: { ...receipt, anchors: anchors(16, 1_200) }, payload: utf8('content') }, {});
    expect(within.claims.some(({ code }) => code === 'proof-not-read')).toBe(false);
    // Shared: the first has room, the others no more.
    const half = await verify({ proof: { ...receipt, anchors: anchors(3, 9_000) }, payload: utf8('content') }, {});
    expect(half.claims.filter(({ code }) => code === 'proof-not-read')).toHaveLength(1);
    expect(fromHex(receipt.round.root)).toHaveLength(32);
  });
});

test('verifying counts against the rate of a key, also of one that may only append', async () => {
  const operation = { metricsTokenFile: null, drainDelay: 0, webhookAllowPrivate: false };
  await using service = await testService({
    open: false,
    config: { operation: { ...operation, rateLimit: { requests: 3, seconds: 600 } } },
  });
  const { token } = await service.key(['append'], ['a']);
  const statuses: number[] = [];
  for (let i = 0; i < 5; i++) {
    const { status } = await service.send('POST', '/v1/verify', { token, body: { receipt: {} } });
    statuses.push(status);
  }
  expect(statuses).toEqual([400, 400, 400, 429, 429]);
  expect((await service.send('POST', '/v1/verify', { body: { receipt: {} } })).status).toBe(401);
});
