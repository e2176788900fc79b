// Tiles have left the database; then service, database and store are gone: a folder with what was in the public bucket is left,
// behind a plain web server.

import { mkdirSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Bucket } from '../../src/archive/bucket.ts';
import { parseReceiptText } from '../../src/core/receipt.ts';
import { verdictSchema } from '../../src/core/verdict-schema.ts';
import { deployAnchor } from '../../src/evm/deploy.ts';
import { anchorRounds, appendLines, temporaryFolder } from '../audit/ground.ts';
import { openServer, sendFile } from '../audit/liar.ts';
import { type Ran, run } from '../cli/command.ts';
import { type TestChain, testChain } from '../support/chain.ts';
import { objectStoreMissing, testStore } from '../support/object-store.ts';
import { testService } from '../support/service.ts';

const when = test.skipIf(objectStoreMissing !== null);
const DAY_MS = 86_400_000;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let chain: TestChain;
let systemKey = '';

const antequem = (...args: string[]): Promise<Ran> => run(args, { cwd: folder.path });

beforeAll(async () => {
  if (objectStoreMissing !== null) return;
  [folder, chain] = await Promise.all([temporaryFolder(), testChain()]);
  await deployAnchor({ provider: chain.provider, signer: chain.wallet, dryRun: false });
  const store = await testStore();
  const address = await store.bucket('public');
  let ahead = 0;
  try {
    const archive = {
      publicBuckets: [address],
      privateBuckets: [],
      after: DAY_MS,
      publishRounds: true,
      retention: null,
    };
    await using service = await testService({
      config: { roles: ['api', 'worker'], archive, reconcileInterval: 200 },
      ahead: () => ahead,
    });
    await appendLines(service, 'demo', 600, 'demo');
    await service.closeRound();
    const early = await service.send('GET', '/v1/logs/demo/entries/300/receipt');
    writeFileSync(join(folder.path, 'early.json'), early.text);
    await anchorRounds(service, chain.url);
    await appendLines(service, 'demo', 5, 'late');
    await service.closeRound();
    // The archive ends before this round: the chain has a root that the archive does not have.
    await appendLines(service, 'demo', 1, 'last');
    await service.closeRound();
    await anchorRounds(service, chain.url);
    systemKey = String((await service.send('GET', '/v1/logs/_system')).at('verifierKey'));
    ahead = 12 * DAY_MS;
    const bucket = new Bucket(address);
    const isShown = async (): Promise<void> => {
      const manifest = Buffer.from((await bucket.get('manifest.json', 1 << 20)) ?? []).toString('utf8');
      expect(manifest).toContain('"rounds":3');
    };
    await vi.waitFor(isShown, { timeout: 30_000, interval: 100 });
    const isMoved = async (): Promise<void> => {
      const { rows } = await service.foundation.database.query(
        'SELECT FROM tiles WHERE level = 0 AND hashes IS NOT NULL',
      );
      expect(rows).toEqual([]);
    };
    await vi.waitFor(isMoved, { timeout: 30_000, interval: 100 });
    await service.stop();
    for await (const name of bucket.list('')) {
      const file = join(folder.path, 'bucket', name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, (await bucket.get(name, 16 << 20)) ?? '');
    }
  } finally {
    await store.stop();
  }
}, 120_000);
afterAll(async () => {
  await chain?.[Symbol.asyncDispose]();
  await folder?.remove();
});

when('the bucket alone is audited and copied, and gives receipts that verify', async () => {
  await using server = await openServer((path, response) => sendFile(join(folder.path, 'bucket'), path, response));
  const trust = ['--rpc', chain.url, '--key', systemKey];
  const [audited, copied, renewed] = await Promise.all([
    antequem('audit', '--mirror', server.url, ...trust, '--json'),
    antequem('mirror', 'copy', '--mirror', server.url, ...trust),
    antequem('receipt', 'demo', '300', '--mirror', server.url, '--receipt', 'early.json', '-o', 'new.json'),
  ]);
  const verdict = verdictSchema.parse(JSON.parse(audited.stdout));
  expect([audited.code, verdict.result]).toEqual([0, 'proven']);
  expect(verdict.claims.find(({ code }) => code === 'rounds-hold')?.says).toContain('2 rounds');
  expect(verdict.claims.map(({ code }) => code)).toContain('anchors-behind');
  expect([copied.code, copied.stdout.split('\n')[0]]).toEqual([0, expect.stringContaining('proven: no faults')]);
  expect([renewed.code, renewed.stderr]).toEqual([0, expect.stringContaining('in round 1, anchored and final')]);
  const [again, proven] = await Promise.all([
    antequem('audit', '--mirror', 'copy', ...trust),
    antequem('verify', 'new.json', '--line', 'demo 300', '--rpc', chain.url),
  ]);
  expect([again.code, again.stdout.split('\n')[0]]).toEqual([0, expect.stringContaining('proven: no faults')]);
  expect([proven.code, proven.stdout]).toEqual([0, expect.stringContaining('proven: existed before')]);
});

when(
  'without the leaves of rounds a receipt gets its newer anchors; the store may answer 403 for what it lacks',
  async () => {
    await using server = await openServer((path, response) => {
      if (path.startsWith('v1/')) response.writeHead(403).end();
      else sendFile(join(folder.path, 'bucket'), path, response);
    });
    const ran = await antequem(
      'receipt',
      'demo',
      '300',
      '--mirror',
      server.url,
      '--receipt',
      'early.json',
      '-o',
      'r.json',
    );
    expect([ran.code, ran.stderr]).toEqual([0, expect.stringContaining('in round 1, anchored and final')]);
    const [early, newer] = (
      await Promise.all(['early.json', 'r.json'].map((name) => readFile(join(folder.path, name), 'utf8')))
    ).map(parseReceiptText);
    expect(early).toMatchObject({ round: { number: 1 }, anchors: [] });
    expect(newer).toMatchObject({ entry: early?.entry, anchors: [{ type: 'evm', status: 'finalized' }] });
  },
);
