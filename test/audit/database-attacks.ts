// What somebody with the database, and at last with the seed too, can change, and how the audits find it. Each attack is SQL
// as an administrator has it, on a copy of a real history whose rounds are on a real chain.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FAULTS, REMOTE_FAULTS, STANDINGS } from '../../src/audit/checks/codes.ts';
import type { Audit } from '../../src/audit/checks/verdict.ts';
import type { AuditOptions } from '../../src/audit/database/audit.ts';
import { AuditState } from '../../src/audit/database/state.ts';
import { type AuditSource, isSourceFailure } from '../../src/audit/remote/source.ts';
import { verdictSchema } from '../../src/core/verdict-schema.ts';
import { deployAnchor } from '../../src/evm/deploy.ts';
import { eraseEntry } from '../../src/log/erase.ts';
import { LogSeed } from '../../src/log/seed.ts';
import { recordedTransaction } from '../../src/log/system.ts';
import { SENDER } from '../support/anchoring.ts';
import { auditDatabase, trustedNode } from '../support/audit.ts';
import { type TestChain, testChain } from '../support/chain.ts';
import { anchorAll, asAdministrator, copyOf, TRUTH, transplant, writeBeginning, writeEnd } from '../support/history.ts';
import { type Instance, ORIGIN, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { type Attack, CUTS, DEMO, digestOfText, ENTRIES, HEAD } from './entry-attacks.ts';
import { auditOf, temporaryFolder } from './ground.ts';
import { INDEX } from './index-attacks.ts';
import { differs, fingerprint, type Outcomes, RecordedSource, serving } from './outcomes.ts';
import { ACTS, ANCHORS, TABLES } from './table-attacks.ts';

let chain: TestChain;
let original: TestDatabase;
/** After round 2. */
let early: TestDatabase;
/** The history as the attacker would have it, made with the stolen seed. */
let forged: TestDatabase;
/** The same from round 3 on. */
let late: TestDatabase;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
/** Of the history that nobody touched. */
let before: { readonly fingerprint: string; readonly shown: ReadonlyMap<string, string> };
/** Every fault that was found anywhere. */
const seen = new Set<string>();

type Options = Partial<Pick<AuditOptions, 'nodes' | 'senders'>>;

/** Audits by the database, against the chain unless told otherwise, and remembers what was found. */
async function examine(url: string, options: Partial<AuditOptions> = {}): Promise<Audit> {
  const result = await auditDatabase(url, { nodes: [trustedNode(chain.url)], ...options });
  for (const { code } of result.findings) seen.add(code);
  return result;
}

/** Audits what a service over the database shows. @param answers filled with what is read */
async function examineShown(
  url: string,
  options: Options,
  answers: Map<string, string>,
  remember?: string,
): Promise<Audit | string> {
  const recorded = (source: AuditSource): AuditSource => new RecordedSource(source, answers);
  const how = {
    nodes: [trustedNode(chain.url)],
    ...options,
    recorded,
    ...(remember === undefined ? {} : { remember }),
  };
  return serving(url, (at) => auditOf({ at, ...how })).catch((error: unknown) => {
    if (!isSourceFailure(error)) throw error;
    return error.message.replace(/^.*?\/\/[^/]*\//, '').replace(' could not be read', '');
  });
}

/** Audits both ways, and puts down what each saw and found. @param remember a file for each to remember in */
async function examineBoth(
  outcomes: Outcomes,
  attack: string,
  url: string,
  options: Options = {},
  remember?: string,
): Promise<Audit> {
  const visible = (await fingerprint(url)) !== before.fingerprint;
  const state = remember === undefined ? null : await AuditState.open(`${remember}.database`, ORIGIN);
  const audit = await examine(url, { ...options, state });
  const answers = new Map<string, string>();
  const shown = await examineShown(url, options, answers, remember);
  outcomes.add(attack, { visible, audit }, { visible: differs(answers, before.shown), audit: shown });
  return audit;
}

async function using(url: string, work: (instance: Instance) => Promise<void>): Promise<void> {
  const instance = await openInstance(url);
  try {
    await work(instance);
  } finally {
    await instance.end();
  }
}

/** A copy of a history with the attack done to it, for as long as `use` takes. */
async function attacked<T>(work: Attack['work'], use: (url: string) => Promise<T>, of = original): Promise<T> {
  const copy = await copyOf(of);
  try {
    await asAdministrator(copy.url, async (client) => {
      if (typeof work === 'string') await client.query(work);
      else await work(client, copy.url);
    });
    return await use(copy.url);
  } finally {
    await copy.drop();
  }
}

/** Registers the tests; what is found goes into the table. */
export function databaseAttacks(outcomes: Outcomes): void {
  const expectFound = ({ name, work, code, log, index, round }: Attack): Promise<void> =>
    attacked(work, async (url) => {
      const { verdict, findings } = await examineBoth(outcomes, name, url);
      expect(findings[0]).toMatchObject({ code, log, index, ...(round === undefined ? {} : { round }) });
      expect([verdict.result, verdict.claims[0]?.code, verdict.claims[0]?.status]).toEqual([
        'refuted',
        code,
        'refuted',
      ]);
      expect(verdict.existedBefore).toBeNull();
      expect(verdictSchema.safeParse(verdict).success).toBe(true);
    });

  beforeAll(async () => {
    [chain, original, forged, folder] = await Promise.all([
      testChain(),
      testDatabase(),
      testDatabase(),
      temporaryFolder(),
    ]);
    await deployAnchor({ provider: chain.provider, signer: chain.wallet, dryRun: false });
    await using(original.url, (instance) => writeBeginning(instance, TRUTH, () => anchorAll(instance, chain.url)));
    early = await copyOf(original);
    late = await copyOf(original);
    await using(original.url, (instance) => writeEnd(instance, () => anchorAll(instance, chain.url)));
    await using(forged.url, async (instance) => {
      await writeBeginning(instance, { secret: 'paid 900 to Mallory' }, async () => {});
      await writeEnd(instance, async () => {});
    });
    await using(late.url, (instance) => writeEnd(instance, async () => {}));
    // A service signs its newest checkpoints when it is asked for them.
    await examineShown(original.url, {}, new Map());
    const shown = new Map<string, string>();
    before = { fingerprint: await fingerprint(original.url), shown };
    await examineShown(original.url, {}, shown);
  });

  afterAll(async () => {
    await Promise.all([original?.drop(), early?.drop(), late?.drop(), forged?.drop(), chain?.[Symbol.asyncDispose]()]);
    await folder?.remove();
  });

  describe('the history nobody touched', () => {
    test('is in order: proven by the chain, unproven without it', async () => {
      const proven = await examineBoth(outcomes, 'none', original.url);
      expect(proven.findings).toEqual([]);
      expect(proven.verdict.result).toBe('proven');
      expect(proven.verdict.existedBefore).toMatchObject({ chain: 'eip155:31337' });
      expect(proven.result).toMatchObject({ logs: 4, contents: { erased: 2, digests: 1 }, rounds: 3 });
      const unproven = await examineBoth(outcomes, 'none, and no chain asked', original.url, { nodes: [] });
      expect([unproven.findings, unproven.verdict.result]).toEqual([[], 'unproven']);
      expect(unproven.verdict.claims.map(({ code }) => code)).toContain('no-source');
    });

    test('is in order without the seed too, and the keys then are named as unconfirmed', async () => {
      const { verdict } = await examine(original.url, { seed: null });
      expect(verdict.result).toBe('proven');
      expect(verdict.claims).toContainEqual(
        expect.objectContaining({ claim: 'checkpoint', status: 'unverified', code: 'keys-not-given' }),
      );
    });

    test('is not that of another seed', async () => {
      const { findings } = await examine(original.url, { seed: new LogSeed(new Uint8Array(32)) });
      expect(findings[0]).toMatchObject({ code: 'key-differs' });
    });

    test('is not that of another service', async () => {
      await expect(examine(original.url, { origin: 'other.example.org' })).rejects.toMatchObject({
        code: 'origin-changed',
      });
    });
  });

  describe('with the database', () => {
    test.each(ENTRIES)('$name', expectFound);
    test.each(INDEX)('$name', expectFound);
    test.each(TABLES)('$name', expectFound);
    test.each(ACTS)('$name', expectFound);
    test.each(ANCHORS)('$name', expectFound);
  });

  test('hints that lead to other entries are no fault, and no search believes them', () =>
    attacked(
      `INSERT INTO digest_batches (log, first, prefixes)
       SELECT b.log, f, d.prefixes FROM digest_batches b, digest_batches d, unnest(ARRAY[0, 9, 3000]) AS f
       WHERE b.log <> d.log`,
      async (url) => {
        const { findings } = await examineBoth(outcomes, 'hints that lead to other entries', url);
        expect(findings).toEqual([]);
        await using(url, async ({ entries }) => {
          expect(await entries.locate(digestOfText('paid 100 to Alice'), null, 10)).toMatchObject([{ index: 57 }]);
          expect(await entries.locate(digestOfText('nowhere'), null, 10)).toEqual([]);
        });
      },
    ));

  describe('with entries cut off', () => {
    test.each(CUTS)('$name', expectFound);

    test('cut off after the newest round, nothing of it published: an earlier audit remembers', () =>
      attacked('', async (url) => {
        const remember = join(folder.path, 'cut');
        const first = await examineBoth(outcomes, 'nothing yet, and it is remembered', url, {}, remember);
        expect(first.findings).toEqual([]);
        await asAdministrator(url, (client) =>
          client.query(
            `DELETE FROM blocks WHERE ${DEMO} AND first >= 650; DELETE FROM checkpoints WHERE ${DEMO} AND size > 650; ${HEAD(650)}`,
          ),
        );
        const unseen = await examineBoth(outcomes, 'entries in no round yet cut off', url);
        expect([unseen.findings, unseen.verdict.result]).toEqual([[], 'proven']);
        const { findings } = await examineBoth(outcomes, 'the same, an earlier audit at hand', url, {}, remember);
        expect(findings[0]).toMatchObject({ code: 'log-cut-off', log: 'demo', index: 650 });
      }));

    test('the whole database set back: the chain knows a round that it does not', async () => {
      const { findings } = await examineBoth(outcomes, 'database set back to before round 3', early.url);
      expect(findings[0]).toMatchObject({ code: 'root-unknown', round: 3 });
      const alone = await examineBoth(outcomes, 'the same, no chain asked', early.url, { nodes: [] });
      expect([alone.findings, alone.verdict.result]).toEqual([[], 'unproven']);
    });
  });

  describe('set back and recovered', () => {
    const recover = (_: pg.Client, url: string): Promise<void> =>
      using(url, async ({ database, registry, sequencing }) => {
        await recordedTransaction(database, registry.system, sequencing, async (tx) => {
          await tx.query('UPDATE retention_state SET unconfirmed_since = 1');
          const reason = 'the chain has a round more';
          return { result: undefined, acts: [{ act: 'recovered', subject: 'local', reason, holds: 'unconfirmed' }] };
        });
      });

    test('what the operator declared lost is told, and nothing is proven any more', async () => {
      await attacked(
        recover,
        async (url) => {
          const { findings, verdict } = await examineBoth(outcomes, 'the same, and recovered on record', url);
          expect([findings, verdict.result]).toEqual([[], 'unproven']);
          const claim = verdict.claims.find(({ code }) => code === 'recovered');
          expect(claim?.says).toContain('1 round on chain from before');
        },
        early,
      );
    });

    test('the holds count as confirmed, and then an entry is erased', () =>
      attacked(
        async (client, url) => {
          await recover(client, url);
          await client.query('UPDATE retention_state SET unconfirmed_since = NULL');
        },
        async (url) => {
          // Who has no database sees it once something is erased.
          const cleared = await examine(url);
          expect(cleared.findings).toMatchObject([{ code: 'hold-differs', log: null }]);
          await using(url, async ({ database, registry, sequencing, holds }) => {
            const log = await registry.find('demo');
            if (log !== null) await eraseEntry(database, registry.system, sequencing, log, 9, holds);
          });
          const erased = await examineBoth(outcomes, 'holds confirmed by SQL, and an entry erased', url);
          expect(erased.findings).toMatchObject([
            { code: 'hold-differs', log: 'demo', index: 9 },
            { code: 'hold-differs', log: null },
          ]);
        },
        early,
      ));
  });

  describe('with the seed too', () => {
    /** Audits the history with the forged one in its place, and whatever else is done to hide that. */
    const rebuilt = (name: string, from: TestDatabase, hide: Attack['work'], options: Options = {}): Promise<Audit> =>
      attacked('', async (url) => {
        await transplant(from.url, url);
        await asAdministrator(url, async (client) => {
          if (typeof hide === 'string') await client.query(hide);
          else await hide(client, url);
        });
        return examineBoth(outcomes, name, url, options);
      });

    test('entries and tiles rebuilt, nothing signed anew: the checkpoints tell', () =>
      attacked('', async (url) => {
        const { rows } = await asAdministrator(url, (client) =>
          client.query<{ id: number }>(`SELECT id FROM logs WHERE name = 'demo'`),
        );
        await transplant(forged.url, url, ['blocks', 'tiles', 'log_heads', 'logs'], `log = ${rows[0]?.id}`);
        const { findings } = await examineBoth(outcomes, 'log rebuilt without the seed', url);
        expect(findings[0]).toMatchObject({ code: 'round-disagrees', log: 'demo', index: 0 });
        expect(findings.map(({ code }) => code)).toContain('checkpoint-differs');
      }));

    test('all rebuilt and signed anew: in order by itself, and the anchors tell', async () => {
      const alone = await examineBoth(outcomes, 'all rebuilt, no chain asked', forged.url, { nodes: [] });
      expect([alone.findings, alone.verdict.result]).toEqual([[], 'unproven']);
      const { findings } = await rebuilt('all rebuilt with the seed', forged, `DELETE FROM evm_accounts`);
      expect(findings[0]).toMatchObject({ code: 'anchor-missing', log: 'demo', index: 0, round: 1 });
    });

    test('rebuilt from some entry on', async () => {
      const { findings } = await rebuilt('rebuilt from entry 600 on', late, '');
      expect(findings[0]).toMatchObject({ code: 'anchor-missing', log: 'demo', index: 600, round: 3 });
    });

    test('and the anchors forgotten: the chain still has the old roots', async () => {
      const forget = `DELETE FROM anchors WHERE round = 3; DELETE FROM evm_transactions WHERE round = 3`;
      const { findings } = await rebuilt('the same, its anchor forgotten', late, forget);
      expect(findings[0]).toMatchObject({ code: 'root-unknown', log: 'demo', index: 600, round: 3 });
    });

    test('and anchored anew with the stolen account: the old roots are still there', async () => {
      const snapshot = await chain.provider.send('evm_snapshot', []);
      try {
        const anew = async (client: pg.Client, url: string): Promise<void> => {
          await client.query('DELETE FROM anchors WHERE round = 3; DELETE FROM evm_transactions WHERE round = 3');
          await using(url, (instance) => anchorAll(instance, chain.url));
        };
        const { findings } = await rebuilt('the same, anchored anew', late, anew);
        expect(findings[0]).toMatchObject({ code: 'root-unknown', log: 'demo', index: 600, round: 3 });
      } finally {
        await chain.provider.send('evm_revert', [snapshot]);
      }
    });

    test('and every trace of the account removed: nothing is proven, and who knows the account sees it', async () => {
      const trace = 'DELETE FROM anchors; DELETE FROM evm_transactions; DELETE FROM evm_accounts; DELETE FROM targets';
      const hidden = await rebuilt('all rebuilt, all anchors and the account forgotten', forged, trace);
      expect([hidden.findings, hidden.verdict.result]).toEqual([[], 'unproven']);
      const { findings } = await rebuilt('the same, the account given with --sender', forged, trace, {
        senders: [SENDER],
      });
      expect(findings[0]).toMatchObject({ code: 'root-unknown', log: 'demo', index: 0, round: 1 });
    });
  });

  test('every fault has shown itself above, and its page explains each', () => {
    // An earlier audit's memory of another tree: audit.test.ts. What needs another view: test/audit/remote. What calendars
    // answered: timestamps.test.ts. Sources: sources.test.ts. Retention: log/retention.test.ts.
    const elsewhere = ['log-rewritten', 'timestamp-broken', 'source-differs', ...REMOTE_FAULTS, 'retention-differs'];
    expect([...seen, ...elsewhere].sort()).toEqual(Object.keys(FAULTS).sort());
    const page = readFileSync(new URL('../../docs/audit.md', import.meta.url), 'utf8');
    const rows = [...page.matchAll(/^\| `([a-z-]+)` \| (\S+) \|/gm)].map(([, code, kind]) => [code, kind]);
    const documented = [
      ...Object.entries(FAULTS).map(([code, { claim }]) => [code, claim]),
      ...Object.entries(STANDINGS).map(([code, status]) => [code, status]),
    ];
    expect(rows.sort()).toEqual(documented.sort());
  });
}
