// A third party's audit of a real service on a real chain: alone, again, from a mirror, of more.

import { join } from 'node:path';
import { Wallet } from 'ethers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Audit } from '../../../src/audit/checks/verdict.ts';
import { parseVerifierKey } from '../../../src/core/note.ts';
import { verdictSchema } from '../../../src/core/verdict-schema.ts';
import { ANCHOR_ADDRESS, encodeAnchor } from '../../../src/evm/anchor-contract.ts';
import { deployAnchor } from '../../../src/evm/deploy.ts';
import { addKeys, retireKeys } from '../../../src/log/rotation.ts';
import { SENDER_KEY } from '../../support/anchoring.ts';
import { type TestChain, testChain } from '../../support/chain.ts';
import type { TestService } from '../../support/service.ts';
import { anchorRounds, appendLines, auditOf, codesOf, seededService, temporaryFolder } from '../ground.ts';

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
      'contents-not-read',
      'entries-hold',
      'keys-not-given',
      'rounds-hold',
      'times-hold',
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
    const says = ({ verdict }: Audit): string | undefined =>
      verdict.claims.find(({ code }) => code === 'anchors-final')?.says;
    expect(says(fourth)).toContain('4 rounds of 4');

    // A round anchored a second time is none that is unknown; all rounds are read again to tell.
    const { root } = JSON.parse(await (await fetch(`${service.url}/v1/audit/rounds/002`)).text());
    const account = new Wallet(SENDER_KEY, chain.provider);
    await (await account.sendTransaction({ to: ANCHOR_ADDRESS, data: encodeAnchor(Buffer.from(root, 'hex')) })).wait();
    const fifth = await auditOf({ at: service.url, rpc: chain.url, remember });
    expect([codesOf(fifth), fifth.result.acts]).toEqual([[], (first.result.acts ?? 0) + 2]);
    expect(says(fifth)).toContain('4 rounds of 4');
    // And with another account to look for.
    const sixth = await auditOf({ at: service.url, rpc: chain.url, remember, senders: [`0x${'12'.repeat(20)}`] });
    expect([codesOf(sixth), sixth.result.acts]).toEqual([[], (first.result.acts ?? 0) + 2]);
  });
});

describe('keys that come and go', () => {
  test('are those that _system tells of, also for who knew the first ones alone', async () => {
    const { database, registry, publisher, appender, guard } = service.foundation;
    const parts = { database, registry, publisher, sequencing: appender.sequencing, guard };
    const logs = [await registry.find('demo'), registry.system].filter((log) => log !== null);
    const before = join(folder.path, 'before.json');
    const first = parseVerifierKey((await registry.signer(registry.system)).verifierKey);
    const verifiers = [first];
    expect(codesOf(await auditOf({ at: service.url, rpc: chain.url, remember: before, verifiers }))).toEqual([]);

    await addKeys(parts, logs);
    await appendLines(service, 'demo', 3, 'signed by two keys');
    await service.closeRound();
    // Here, where the change of keys is known: the service notices it within ten seconds.
    for (const log of logs) await publisher.signAllDue(log);
    expect(codesOf(await auditOf({ at: service.url, rpc: chain.url }))).toEqual([]);
    await retireKeys(
      parts,
      logs.map((log) => ({ log, number: null })),
      true,
    );
    await appendLines(service, 'demo', 3, 'signed by the second');
    await service.closeRound();
    // Here, where the change of keys is known: the service notices it within ten seconds.
    for (const log of logs) await publisher.signAllDue(log);
    for (const how of [{}, { remember: before }, { remember: before, verifiers }, { verifiers }]) {
      const { findings, verdict } = await auditOf({ at: service.url, rpc: chain.url, ...how });
      expect([findings, verdict.result]).toEqual([[], 'proven']);
    }
    const second = parseVerifierKey((await registry.signer(registry.system)).verifierKey);
    expect(second.publicKey).not.toEqual(first.publicKey);
    expect(codesOf(await auditOf({ at: service.url, verifiers: [second] }))).toEqual([]);
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
    expect(mirrored.result).toMatchObject({ rounds: saved.result.rounds, entries: saved.result.entries });
    await appendLines(service, 'demo', 400, 'after the mirror');
    await service.closeRound();
    await anchorRounds(service, chain.url);
    const again = await auditOf({ at: service.url, rpc: chain.url, save });
    expect([codesOf(again), again.result.rounds]).toEqual([[], Number(saved.result.rounds) + 1]);
    const grown = await auditOf({ at: save, rpc: chain.url });
    expect([codesOf(grown), grown.result.entries]).toEqual([[], mirrored.result.entries + 400 + 1]);
  });
});
