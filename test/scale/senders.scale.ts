// The senders themselves: the API server's audit webhook backend (k8s.io/apiserver) and the OpenTelemetry Collector's
// otlphttp exporter, built from test/senders.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectReceipts, exportedEvents } from '../support/audit-check.ts';
import { GO_MISSING, goSender } from '../support/go-sender.ts';
import { HttpFaultProxy } from '../support/http-fault-proxy.ts';
import { type TestService, testService } from '../support/service.ts';
import { startServiceChild } from '../support/service-child.ts';

if (GO_MISSING !== null) console.log(`skipped: ${GO_MISSING}`);

let service: TestService;
let folder: string;
beforeAll(async () => {
  service = await testService();
  folder = await mkdtemp(join(tmpdir(), 'antequem-senders-'));
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

describe.skipIf(GO_MISSING !== null)("the API server's audit webhook", () => {
  let send: (...args: string[]) => Promise<string>;
  beforeAll(async () => {
    send = await goSender('kubernetes');
  }, 600_000);

  /** Sends to a log through a proxy; returns the lines of the log and the (auditID, stage) of what was sent. */
  const deliver = async (
    name: string,
    args: readonly string[],
    during: (proxy: HttpFaultProxy) => Promise<void> = async () => {},
  ): Promise<{ stored: Record<string, string>[]; sent: string[] }> => {
    await service.send('PUT', `/v1/logs/${name}`);
    await using proxy = await HttpFaultProxy.open(service.url, [503, 'ok', 429, 'cut', 'ok', 'ok']);
    const [config, out] = [join(folder, `${name}.yaml`), join(folder, `${name}.jsonl`)];
    const server = `${proxy.url}/v1/logs/${name}/ingest/kubernetes-audit`;
    await writeFile(
      config,
      `{"apiVersion":"v1","kind":"Config","clusters":[{"name":"a","cluster":{"server":"${server}"}}],` +
        '"users":[{"name":"u","user":{"token":"t"}}],"contexts":[{"name":"c","context":{"cluster":"a","user":"u"}}],' +
        '"current-context":"c"}',
    );
    await Promise.all([send('-config', config, '-out', out, '-backoff', '1s', ...args), during(proxy)]);
    expect(proxy.requests).toBeGreaterThan(1);
    const exported = await exportedEvents(service, name, '?receipts=false');
    const sent = (await readFile(out, 'utf8')).trimEnd().split('\n');
    return {
      stored: exported.map(({ payload }) => JSON.parse(payload.text)),
      sent: sent.map((line) => {
        const { id, stage, taken }: { id: string; stage: string; taken: boolean } = JSON.parse(line);
        expect(taken).toBe(true);
        return `${id} ${stage}`;
      }),
    };
  };
  const places = (stored: Record<string, string>[]): string[] =>
    stored.filter(({ antequem }) => antequem === undefined).map(({ auditID, stage }) => `${auditID} ${stage}`);

  test.each([
    ['none', null, 0],
    ['dup', 'member-twice', 1],
    ['deep', 'too-deep', 1],
    ['badutf8', 'not-utf8', 1],
    ['surrogate', null, 0],
    ['longid', 'id-invalid', 2],
    ['many', 'too-many-values', 1],
  ])('with the odd event %s through faults: each event once', async (odd, reason, aside) => {
    const { stored, sent } = await deliver(`kube-${odd}`, ['-n', '1000', '-odd', odd]);
    const reasons = stored.flatMap(({ antequem, reason }) => (antequem === undefined ? [] : [reason]));
    expect(reasons).toEqual(Array(aside).fill(reason));
    const once = places(stored);
    expect(new Set(once).size).toBe(once.length);
    expect(once.length + aside).toBe(sent.length);
    expect(sent).toEqual(expect.arrayContaining(once));
  });

  test('with objects of 80 kB and truncation, through faults: each event once', async () => {
    const { stored, sent } = await deliver('kube-large', ['-n', '600', '-size', '80000', '-truncate']);
    expect(places(stored).sort()).toEqual(sent.sort());
  });

  test('over three kills and new starts of the service: each event once', async () => {
    const settings = {
      DATABASE_URL: service.config.databaseUrl,
      ORIGIN: service.origin,
      LOG_SEED_FILE: service.config.logSeedFile,
      PORT: '0',
      ROLES: 'api',
    };
    const { stored, sent } = await deliver('kube-restart', ['-n', '6000', '-rate', '300'], async (proxy) => {
      for (let kills = 0; kills < 3; kills++) {
        const child = await startServiceChild(settings);
        proxy.target = child.url ?? '';
        const before = proxy.requests;
        await expect.poll(() => proxy.requests, { timeout: 60_000 }).toBeGreaterThan(before + 1);
        await child.kill();
      }
      proxy.target = service.url;
    });
    expect(places(stored).sort()).toEqual(sent.sort());
  });

  test('has receipts that verify', async () => {
    await service.closeRound();
    const key = String((await service.send('GET', '/v1/logs/kube-dup')).at('verifierKey'));
    expect(await expectReceipts(await exportedEvents(service, 'kube-dup', ''), key)).toBe(2_000);
  });
});

describe.skipIf(GO_MISSING !== null)("the Collector's exporter", () => {
  let send: (...args: string[]) => Promise<string>;
  beforeAll(async () => {
    send = await goSender('collector');
  }, 600_000);

  test.each(['proto', 'json'])('in %s: 20,000 records a request, some no UTF-8: all are logged', async (encoding) => {
    const log = `collector-${encoding}`;
    await service.send('PUT', `/v1/logs/${log}`);
    await using proxy = await HttpFaultProxy.open(service.url, ['ok', 'cut']);
    await send(
      ...['-endpoint', `${proxy.url}/v1/logs/${log}/ingest/otlp`, '-encoding', encoding],
      ...['-records', '20000', '-batches', '2', '-bad', '4000'],
    );
    const stored = await exportedEvents(service, log, '?receipts=false');
    const lines = stored.map(({ payload }) => JSON.parse(payload.text));
    expect(lines).toHaveLength(40_000);
    const bodies = lines.flatMap(({ logRecord }) => (logRecord === undefined ? [] : [logRecord.body.stringValue]));
    const aside = lines.filter(({ antequem }) => antequem === 'set-aside/v1');
    expect(aside.map(({ reason }) => reason)).toEqual(Array(10).fill('not-utf8'));
    expect(new Set(bodies).size).toBe(39_990);
  });
});
