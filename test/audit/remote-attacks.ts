// What somebody between an auditor and a real service, or with the seed and the money of one, can show, and how each lie is
// named.

import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { REMOTE_FAULTS } from '../../src/audit/checks/codes.ts';
import type { Audit } from '../../src/audit/checks/verdict.ts';
import type { AuditOptions } from '../../src/audit/database/audit.ts';
import { AuditState } from '../../src/audit/database/state.ts';
import { FolderSource } from '../../src/audit/remote/folder-source.ts';
import type { AuditSource } from '../../src/audit/remote/source.ts';
import { verdictSchema } from '../../src/core/verdict-schema.ts';
import { ANCHOR_ADDRESS, encodeAnchor } from '../../src/evm/anchor-contract.ts';
import { deployAnchor } from '../../src/evm/deploy.ts';
import { LogSeed } from '../../src/log/seed.ts';
import { SENDER } from '../support/anchoring.ts';
import { auditDatabase, trustedNode } from '../support/audit.ts';
import { type TestChain, testChain } from '../support/chain.ts';
import { testDatabase } from '../support/postgres.ts';
import type { TestService } from '../support/service.ts';
import { FORGED_ORIGIN, FORGED_SEED, type ForgedStory, forgeMirror, NEW_YEAR } from './forged.ts';
import { forgeDatabase } from './forged-database.ts';
import {
  type AuditHow,
  anchorRounds,
  appendLines,
  auditOf,
  codesOf,
  seededService,
  temporaryFolder,
} from './ground.ts';
import { changingJson, type Liar, type Lie, openLiar } from './liar.ts';
import { lies } from './lies.ts';
import { differs, fingerprint, type Outcome, type Outcomes, RecordedSource } from './outcomes.ts';

const HOUR = 3_600_000;

let chain: TestChain;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let service: TestService;
/** The same origin, seed and account with another history from entry 300 of demo on. */
let twin: TestService;
let liar: Liar;
let firstRound: string;
/** Of the truth. */
let before: Shown;
/** Of a made-up history that is in order. */
let forgedBefore: Shown;
const seen = new Set<string>();

interface Shown {
  readonly fingerprint: string;
  readonly answers: ReadonlyMap<string, string>;
}

/** How the service's own database is audited. */
interface DatabaseHow extends Partial<AuditOptions> {
  readonly url: string;
  /** Of what is seen when nothing is attacked; null: this is it. */
  readonly before: Shown | null;
}

beforeAll(async () => {
  [chain, folder] = await Promise.all([testChain(), temporaryFolder()]);
  await deployAnchor({ provider: chain.provider, signer: chain.wallet, dryRun: false });
  const seed = join(folder.path, 'seed');
  service = await seededService(seed);
  twin = await seededService(seed);
  await tell(service, 'truth');
  await anchorRounds(service, chain.url);
  firstRound = await (await fetch(`${service.url}/v1/audit/rounds/001`)).text();
  liar = await openLiar((token) => (token === 'twin' ? twin.url : service.url));
});

async function tell(of: TestService, label: string): Promise<void> {
  await appendLines(of, 'demo', 300, 'demo');
  await appendLines(of, 'other', 30, 'other');
  await of.closeRound();
  await appendLines(of, 'demo', 300, label);
  await of.closeRound();
  await appendLines(of, 'demo', 60, 'end');
  await of.closeRound();
  await appendLines(of, 'demo', 7, 'in no round');
}

/** Registers the tests; what is found goes into the table. */
export function remoteAttacks(outcomes: Outcomes): void {
  /**
   * Audits both ways, and puts down what each saw and found.
   * @param database null: it has no part in this attack
   */
  async function examineBoth(what: string, how: AuditHow, database: DatabaseHow | null): Promise<Audit> {
    const answers = new Map<string, string>();
    const recorded = (plain: AuditSource): AuditSource => new RecordedSource(plain, answers);
    const audit = await auditOf({ rpc: chain.url, ...how, recorded });
    verdictSchema.parse(audit.verdict);
    for (const { code } of audit.findings) seen.add(code);
    const remote = { visible: differs(answers, database?.before?.answers ?? answers), audit };
    outcomes.add(what, database === null ? null : await examineDatabase(how, database), remote);
    if (database?.before === null) {
      const shown = { fingerprint: await fingerprint(database.url), answers };
      if (how.at === liar.url) before = shown;
      else forgedBefore = shown;
    }
    return audit;
  }

  async function examineDatabase(how: AuditHow, { url, before, ...options }: DatabaseHow): Promise<Outcome> {
    const rpc = 'rpc' in how ? how.rpc : chain.url;
    const origin = options.origin ?? service.origin;
    const state = how.remember === undefined ? null : await AuditState.open(`${how.remember}.database`, origin);
    const audit = await auditDatabase(url, {
      origin,
      seed: new LogSeed(new Uint8Array(32).fill(0x5e)),
      nodes: rpc === undefined ? [] : [trustedNode(rpc)],
      senders: how.senders ?? [],
      state,
      ...options,
    });
    return { visible: before !== null && (await fingerprint(url)) !== before.fingerprint, audit };
  }

  const ofService = (of: TestService = service): DatabaseHow => ({ url: of.config.databaseUrl, before });

  async function lied(what: string, lie: Lie, how: Partial<AuditHow> = {}): Promise<Audit> {
    liar.lie = lie;
    try {
      return await examineBoth(what, { at: liar.url, ...how }, ofService());
    } finally {
      liar.lie = (_, shown) => shown;
    }
  }

  afterAll(async () => {
    await liar?.[Symbol.asyncDispose]();
    await Promise.all([service?.[Symbol.asyncDispose](), twin?.[Symbol.asyncDispose]()]);
    await Promise.all([chain?.[Symbol.asyncDispose](), folder?.remove()]);
  });

  test('through the proxy that tells the truth: nothing', async () => {
    const { findings, verdict } = await examineBoth(
      'the truth',
      { at: liar.url },
      { url: service.config.databaseUrl, before: null },
    );
    expect([findings, verdict.result]).toEqual([[], 'proven']);
  });

  describe('a proxy that cannot sign', () => {
    test.each(lies(() => firstRound))('%s', async (what, lie, code, place) => {
      const { findings, verdict } = await lied(what, lie);
      expect(findings[0]).toMatchObject({ code, ...place });
      expect(verdict.result).toBe('refuted');
    });

    test('an older checkpoint, to an auditor who never saw a newer one: the rounds tell', async () => {
      const { rows } = await service.foundation.database.query<{ note: string }>(
        "SELECT note FROM checkpoints c JOIN logs l ON l.id = c.log WHERE l.name = 'demo' AND c.size = 300",
      );
      const old = Buffer.from(rows[0]?.note ?? '');
      const lie: Lie = (path, shown) => (path === 'logs/demo/checkpoint' ? { ...shown, bytes: old } : shown);
      const { findings } = await lied('an older checkpoint of the log', lie);
      expect(findings[0]).toMatchObject({ code: 'log-cut-off', log: 'demo', index: 300 });
    });

    test('another key of _system, once the first was seen', async () => {
      const remember = join(folder.path, 'seen.json');
      expect(codesOf(await auditOf({ at: service.url, rpc: chain.url, remember }))).toEqual([]);
      const other = forgeMirror(join(folder.path, 'foreign'), { origin: 'log.test', logs: { demo: 1 }, rounds: [] });
      const lie = changingJson('v1/audit/service', (json) => {
        json.verifierKeys = [other];
      });
      const { findings } = await lied('another key of _system than before', lie, { remember });
      expect(findings[0]).toMatchObject({ code: 'key-differs', log: '_system' });
    });
  });

  test('an anchor that an account paid for which _system does not declare', async () => {
    const snapshot = await chain.provider.send('evm_snapshot', []);
    try {
      const { root } = JSON.parse(await (await fetch(`${service.url}/v1/audit/rounds/002`)).text());
      const sent = await chain.wallet.sendTransaction({
        to: ANCHOR_ADDRESS,
        data: encodeAnchor(Buffer.from(root, 'hex')),
      });
      const mined = await sent.wait();
      const block = { number: mined?.blockNumber, hash: mined?.blockHash, time: '2026-01-01T00:00:00.000Z' };
      const lie = changingJson('v1/audit/rounds/002', (json) => {
        json.anchors = [{ ...Object(json.anchors)[0], transaction: sent.hash, block, proof: undefined }];
      });
      const { findings } = await lied('an anchor paid for by somebody else', lie);
      expect(findings[0]).toMatchObject({ code: 'sender-differs', round: 2 });
    } finally {
      await chain.provider.send('evm_revert', [snapshot]);
    }
  });

  describe('with the seed: two histories', () => {
    test('each auditor sees one, in order by itself; their mirrors together show both', async () => {
      await tell(twin, 'another story');
      const [truth, story] = [join(folder.path, 'truth'), join(folder.path, 'story')];
      const one = await examineBoth(
        'one history to one auditor',
        { at: liar.url, apiKey: 'service', save: truth },
        ofService(),
      );
      const two = await examineBoth(
        'another history to another, no chain asked',
        { at: liar.url, apiKey: 'twin', save: story, rpc: undefined },
        ofService(twin),
      );
      expect([codesOf(one), one.verdict.result, codesOf(two), two.verdict.result]).toEqual([
        [],
        'proven',
        [],
        'unproven',
      ]);

      const split = await examineBoth('their two mirrors', { at: truth, against: new FolderSource(story) }, null);
      expect(codesOf(split)).toEqual(expect.arrayContaining(['view-split', 'rounds-split']));
      expect(split.findings.find(({ code, log }) => code === 'view-split' && log === 'demo')).toMatchObject({
        index: 0,
      });
      expect(split.findings.find(({ code }) => code === 'rounds-split')).toMatchObject({ round: 1 });
      const same = await auditOf({ at: truth, against: new FolderSource(truth) });
      expect([codesOf(same), same.verdict.claims.map(({ code }) => code)]).toEqual([
        [],
        expect.arrayContaining(['views-agree']),
      ]);
    });

    test('a mirror is not written over by another history, also where what it remembers is gone', async () => {
      const save = join(folder.path, 'kept');
      expect(codesOf(await auditOf({ at: liar.url, apiKey: 'service', save }))).toEqual([]);
      rmSync(join(save, 'state.json'));
      const { findings } = await examineBoth(
        'another history, onto the mirror of the one',
        { at: liar.url, apiKey: 'twin', save, rpc: undefined },
        null,
      );
      expect(findings[0]).toMatchObject({ code: 'view-split' });
      expect(codesOf(await auditOf({ at: save, rpc: chain.url }))).toEqual([]);
      expect(existsSync(join(save, 'conflicting/v1/audit/rounds/001'))).toBe(true);
    });

    test('the second one asked about on the chain: it has roots that are no rounds of it', async () => {
      const { findings } = await examineBoth(
        'the other history, held against the chain',
        { at: liar.url, apiKey: 'twin', senders: [SENDER] },
        ofService(twin),
      );
      expect(findings[0]).toMatchObject({ code: 'root-unknown' });
    });

    test('shown the one, then the other, an auditor who remembers sees it', async () => {
      const remember = join(folder.path, 'remember.json');
      const how = { at: liar.url, remember };
      const one = await examineBoth('one history, remembered', { ...how, apiKey: 'service' }, ofService());
      expect(codesOf(one)).toEqual([]);
      const { findings } = await examineBoth('then the other', { ...how, apiKey: 'twin' }, ofService(twin));
      expect(codesOf({ findings })).toEqual(expect.arrayContaining(['log-rewritten']));
    });

    test('a second chain of rounds anchored by the same account', async () => {
      const kept = join(folder.path, 'older');
      expect(codesOf(await auditOf({ at: liar.url, apiKey: 'service', save: kept }))).toEqual([]);
      const snapshot = await chain.provider.send('evm_snapshot', []);
      try {
        await anchorRounds(twin, chain.url);
        const { findings, verdict } = await examineBoth(
          'a second chain of rounds, anchored by the same account',
          { at: liar.url, apiKey: 'service' },
          ofService(),
        );
        expect(findings[0]).toMatchObject({ code: 'root-unknown' });
        expect(findings[0]?.says).toContain('none of these rounds has it');
        expect(verdict.result).toBe('refuted');
        // A mirror on disk may be older than what the chain has: that refutes nothing.
        const copy = await auditOf({ at: kept, rpc: chain.url });
        expect([codesOf(copy), copy.verdict.result]).toEqual([[], 'proven']);
        const older = copy.verdict.claims.find(({ code }) => code === 'anchors-behind');
        expect(older?.says).toContain('this copy is older than they are, or was cut off');
      } finally {
        await chain.provider.send('evm_revert', [snapshot]);
      }
    });
  });

  describe('with the seed: a history made up', () => {
    const forged = async (what: string, story: ForgedStory, how: Partial<AuditHow> = {}): Promise<Audit> => {
      const at = join(folder.path, 'forged');
      rmSync(at, { recursive: true, force: true });
      forgeMirror(at, story);
      const database = await testDatabase();
      try {
        await forgeDatabase(database.url, at, story);
        const options = { url: database.url, before: forgedBefore ?? null, origin: FORGED_ORIGIN, seed: FORGED_SEED };
        return await examineBoth(what, { at, rpc: undefined, ...how }, options);
      } finally {
        await database.drop();
      }
    };
    const rounds = [
      { closedAt: NEW_YEAR + HOUR, sizes: { demo: 300, other: 5 } },
      { closedAt: NEW_YEAR + 2 * HOUR, sizes: { demo: 500 } },
    ];
    const logs = { demo: 520, other: 9 };

    test('in order by itself: nothing', async () => {
      const { findings, result } = await forged('a history that hangs together', { logs, rounds, receivedAt });
      expect([findings, result.unrounded]).toEqual([[], 24]);
    });

    test('an entry that says it is older than the round before it', async () => {
      const backdated = (log: string, index: number): number =>
        log === 'demo' && index === 300 ? NEW_YEAR + HOUR / 2 : receivedAt(log, index);
      const { findings } = await forged('an entry backdated, all signed anew', { logs, rounds, receivedAt: backdated });
      expect(findings[0]).toMatchObject({ code: 'backdated', log: 'demo', index: 300, round: 1 });
    });

    test('an entry in no round that says it is older than the newest', async () => {
      const backdated = (log: string, index: number): number =>
        log === 'other' && index >= 5 ? NEW_YEAR + HOUR : receivedAt(log, index);
      const { findings } = await forged('an entry in no round backdated', { logs, rounds, receivedAt: backdated });
      expect(findings[0]).toMatchObject({ code: 'backdated', log: 'other', index: 5, round: 2 });
    });

    test('an entry received after its round had closed', async () => {
      const later = (log: string, index: number): number =>
        log === 'demo' && index >= 299 && index < 500 ? NEW_YEAR + 1.5 * HOUR : receivedAt(log, index);
      const { findings } = await forged('an entry later than its round', { logs, rounds, receivedAt: later });
      expect(findings[0]).toMatchObject({ code: 'received-after-close', log: 'demo', index: 299 });
    });

    test('a round that _system does not tell of', async () => {
      const { findings } = await forged('a round that _system does not tell of', {
        logs,
        rounds,
        receivedAt,
        untold: [1],
      });
      expect(findings[0]).toMatchObject({ code: 'round-differs', round: 2 });
    });

    test('a round with another root of a log than it has', async () => {
      const wrongLeaf = (round: number, log: string): boolean => round === 2 && log === 'demo';
      const { findings } = await forged('a round with another root of a log', { logs, rounds, receivedAt, wrongLeaf });
      expect(findings[0]).toMatchObject({ code: 'leaf-differs', round: 2 });
    });

    test('a newest checkpoint without the signature by ML-DSA', async () => {
      const remember = join(folder.path, 'ml-dsa.json');
      const story = { logs, rounds: rounds.slice(0, 1), receivedAt };
      const signed = await forged('a log that signs by ML-DSA', { ...story, mlDsa: { demo: true } }, { remember });
      expect(codesOf(signed)).toEqual([]);
      const what = 'a checkpoint without its signature by ML-DSA';
      const unsigned = await forged(what, { ...story, mlDsa: { demo: false } });
      // What was read before is remembered: the log signs by ML-DSA, and by which key.
      const again = await auditOf({ at: join(folder.path, 'forged'), remember });
      for (const { findings } of [unsigned, again]) {
        expect(findings).toMatchObject([{ code: 'signature-broken', log: 'demo', index: 300 }]);
        expect(findings[0]?.says).toContain('signs by ML-DSA as well');
      }
    });

    test('rounds rewritten after an audit', async () => {
      const remember = join(folder.path, 'forged.json');
      expect(codesOf(await forged('the same, remembered', { logs, rounds, receivedAt }, { remember }))).toEqual([]);
      const others = [{ closedAt: NEW_YEAR + HOUR + 1, sizes: { demo: 300, other: 5 } }, rounds[1]!, rounds[1]!].map(
        (round, i) => (i === 2 ? { closedAt: NEW_YEAR + 3 * HOUR, sizes: { demo: 520 } } : round),
      );
      const { findings } = await forged(
        'rounds rewritten after an audit',
        { logs, rounds: others, receivedAt },
        { remember },
      );
      expect(codesOf({ findings })).toEqual(expect.arrayContaining(['rounds-rewritten']));
    });

    function receivedAt(log: string, index: number): number {
      const [first, second] = log === 'demo' ? [300, 500] : [5, 5];
      return index < first ? NEW_YEAR + index : index < second ? NEW_YEAR + HOUR + index : NEW_YEAR + 2 * HOUR + index;
    }
  });

  test('what only such an audit finds has all been found', () => {
    expect([...seen]).toEqual(expect.arrayContaining([...REMOTE_FAULTS]));
  });
}
