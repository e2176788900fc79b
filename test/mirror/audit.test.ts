// A third party's audit of a real service on a real chain: alone, again, from a mirror, of more.

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseVerifierKey } from '../../src/core/note.ts';
import { verdictSchema } from '../../src/core/verdict.ts';
import { deployAnchor } from '../../src/evm/deploy.ts';
import { type TestChain, testChain } from '../support/chain.ts';
import type { TestService } from '../support/service.ts';
import { anchorRounds, appendLines, auditOf, codesOf, seededService, temporaryFolder } from './ground.ts';

let chain: TestChain;
let service: TestService;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;

beforeAll(async () => {
  [chain, folder] = await Promise.all([testChain(), temporaryFolder()]);
  await deployAnchor({ provider: chain.provider, signer: chain.wallet, dryRun: false });
  service = await seededService(join(folder.path, 'seed'));
  await appendLines(service, 'demo', 700, 'demo');
  await appendLines(service, 'other', 40, 'other');
  await service.send('PUT', '/v1/logs/empty');
  await service.closeRound();
  await appendLines(service, 'demo', 90, 'more');
  await service.closeRound();
  await appendLines(service, 'demo', 3_000, 'many');
  await service.closeRound();
  await anchorRounds(service, chain.url);
  await appendLines(service, 'demo', 5, 'in no round');
});

afterAll(async () => {
  await service?.[Symbol.asyncDispose]();
  await Promise.all([chain?.[Symbol.asyncDispose](), folder?.remove()]);
});

describe('a service that is in order', () => {
  test('is proven by a trusted node, and unproven without', async () => {
    const audited = await auditOf({ at: service.url, rpc: chain.url });
    expect(audited.findings).toEqual([]);
    expect(verdictSchema.parse(audited.verdict).result).toBe('proven');
    expect(audited.result).toMatchObject({ logs: 4, rounds: 3, unrounded: 5, resumed: 0 });
    expect(audited.verdict.claims.map(({ code }) => code)).toEqual([
      'entries-hold',
      'contents-not-read',
      'keys-not-given',
      'times-hold',
      'rounds-hold',
      'acts-hold',
      'anchors-final',
      'anchors-behind',
    ]);
    const alone = await auditOf({ at: service.url });
    expect([codesOf(alone), alone.verdict.result]).toEqual([[], 'unproven']);
  });

  test('with the key of _system the signatures are known', async () => {
    const { verifierKey } = await service.foundation.registry.signer(service.foundation.registry.system);
    const { verdict } = await auditOf({ at: service.url, rpc: chain.url, verifiers: [parseVerifierKey(verifierKey)] });
    expect(verdict.claims.map(({ code }) => code)).toContain('checkpoints-hold');
  });
});

describe('again', () => {
  test('goes on from what is remembered, and reads what is new', async () => {
    const remember = join(folder.path, 'state.json');
    const first = await auditOf({ at: service.url, rpc: chain.url, remember });
    const second = await auditOf({ at: service.url, rpc: chain.url, remember });
    expect([codesOf(first), codesOf(second)]).toEqual([[], []]);
    expect(second.result).toMatchObject({ entries: 0, resumed: first.result.entries, rounds: 3, acts: 0 });
    expect(second.verdict.existedBefore).toEqual(first.verdict.existedBefore);
    await appendLines(service, 'demo', 300, 'later');
    await appendLines(service, 'newer', 10, 'newer');
    await service.closeRound();
    const third = await auditOf({ at: service.url, rpc: chain.url, remember });
    expect(third.findings).toEqual([]);
    expect(third.result).toMatchObject({ entries: 300 + 10 + 2, rounds: 4, unrounded: 0 });
    await anchorRounds(service, chain.url);
    const fourth = await auditOf({ at: service.url, rpc: chain.url, remember });
    expect([codesOf(fourth), fourth.result.entries]).toEqual([[], 0]);
    const says = fourth.verdict.claims.find(({ code }) => code === 'anchors-final')?.says;
    expect(says).toContain('4 rounds of 4');
  });
});

describe('a mirror', () => {
  test('audits as the service does, and goes on', async () => {
    const save = join(folder.path, 'mirror');
    const saved = await auditOf({ at: service.url, rpc: chain.url, save });
    expect([codesOf(saved), saved.verdict.result]).toEqual([[], 'proven']);
    const mirrored = await auditOf({ at: save, rpc: chain.url });
    expect(mirrored.findings).toEqual([]);
    expect(mirrored.verdict.existedBefore).toEqual(saved.verdict.existedBefore);
    expect(mirrored.result).toMatchObject({ rounds: 4, entries: saved.result.entries });
    await appendLines(service, 'demo', 400, 'after the mirror');
    await service.closeRound();
    await anchorRounds(service, chain.url);
    const again = await auditOf({ at: service.url, rpc: chain.url, save });
    expect([codesOf(again), again.result.rounds]).toEqual([[], 5]);
    const grown = await auditOf({ at: save, rpc: chain.url });
    expect([codesOf(grown), grown.result.entries]).toEqual([[], mirrored.result.entries + 400 + 1]);
  });
});
