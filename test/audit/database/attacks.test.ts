// What somebody with the database, and at last with the seed too, can change, and how an audit finds it. Each attack is
// SQL as an administrator has it, on a copy of a real history whose rounds are on a real chain.

import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FAULTS, REMOTE_FAULTS, STANDINGS } from '../../../src/audit/checks/codes.ts';
import type { Audit, AuditOptions } from '../../../src/audit/database/audit.ts';
import { AuditState } from '../../../src/audit/database/resume.ts';
import { exitCode, verdictSchema } from '../../../src/core/verdict.ts';
import { deployAnchor } from '../../../src/evm/deploy.ts';
import { LogSeed } from '../../../src/log/seed.ts';
import { recordedTransaction } from '../../../src/log/system.ts';
import { SENDER } from '../../support/anchoring.ts';
import { auditDatabase, trustedNode } from '../../support/audit.ts';
import { type TestChain, testChain } from '../../support/chain.ts';
import {
  anchorAll,
  asAdministrator,
  copyOf,
  TRUTH,
  transplant,
  writeBeginning,
  writeEnd,
} from '../../support/history.ts';
import { type Instance, ORIGIN, openInstance } from '../../support/instance.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';
import { type Attack, CUTS, DEMO, ENTRIES, HEAD } from './entry-attacks.ts';
import { ACTS, ANCHORS, TABLES } from './table-attacks.ts';

let chain: TestChain;
let original: TestDatabase;
/** After round 2. */
let early: TestDatabase;
/** The history as the attacker would have it, made with the stolen seed. */
let forged: TestDatabase;
/** The same from round 3 on. */
let late: TestDatabase;
const table: string[][] = [];
/** Every fault that was found anywhere. */
const seen = new Set<string>();

/** Audits against the chain, unless told otherwise, and remembers what was found. */
async function examine(url: string, options: Partial<AuditOptions> = {}): Promise<Audit> {
  const result = await auditDatabase(url, { nodes: [trustedNode(chain.url)], ...options });
  for (const { code } of result.findings) seen.add(code);
  return result;
}

async function using(url: string, work: (instance: Instance) => Promise<void>): Promise<void> {
  const instance = await openInstance(url);
  try {
    await work(instance);
  } finally {
    await instance.end();
  }
}

/** A copy of the history with the attack done to it. */
async function attacked(work: Attack['work'], of: TestDatabase = original): Promise<TestDatabase> {
  const copy = await copyOf(of);
  await asAdministrator(copy.url, async (client) => {
    if (typeof work === 'string') await client.query(work);
    else await work(client, copy.url);
  });
  return copy;
}

async function expectFound({ name, work, code, log, index, round }: Attack): Promise<void> {
  const copy = await attacked(work);
  try {
    const { verdict, findings } = await examine(copy.url);
    const [first] = findings;
    const place =
      index === null
        ? first?.round == null
          ? (first?.log ?? '')
          : `round ${first.round}`
        : `${first?.log} ${first?.index}`;
    table.push([name, first?.code ?? 'nothing', place, String(exitCode(verdict))]);
    expect(first).toMatchObject({ code, log, index, ...(round === undefined ? {} : { round }) });
    expect([verdict.result, verdict.claims[0]?.code, verdict.claims[0]?.status]).toEqual(['refuted', code, 'refuted']);
    expect(verdict.existedBefore).toBeNull();
    expect(verdictSchema.safeParse(verdict).success).toBe(true);
  } finally {
    await copy.drop();
  }
}

beforeAll(async () => {
  [chain, original, forged] = await Promise.all([testChain(), testDatabase(), testDatabase()]);
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
});

afterAll(async () => {
  await Promise.all([original?.drop(), early?.drop(), late?.drop(), forged?.drop(), chain?.[Symbol.asyncDispose]()]);
  const rows = [['attack', 'found by', 'first bad', 'exit'], ...table];
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  console.log(rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')).join('\n'));
});

describe('the history nobody touched', () => {
  test('is in order: proven by the chain, unproven without it', async () => {
    const proven = await examine(original.url);
    expect(proven.findings).toEqual([]);
    expect(proven.verdict.result).toBe('proven');
    expect(proven.verdict.existedBefore?.chain).toBe('eip155:31337');
    expect(proven.counts).toMatchObject({ logs: 4, erased: 2, digests: 1, rounds: 3 });
    const unproven = await examine(original.url, { nodes: [] });
    expect([unproven.findings, unproven.verdict.result]).toEqual([[], 'unproven']);
    expect(unproven.verdict.claims.map(({ code }) => code)).toContain('no-source');
    table.push(['none', 'nothing', '', String(exitCode(proven.verdict))]);
    table.push(['none, and no chain asked', 'nothing', '', String(exitCode(unproven.verdict))]);
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
  test.each(TABLES)('$name', expectFound);
  test.each(ACTS)('$name', expectFound);
  test.each(ANCHORS)('$name', expectFound);
});

describe('with entries cut off', () => {
  test.each(CUTS)('$name', expectFound);

  test('cut off after the newest round, nothing of it published: an earlier audit remembers', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'antequem-audit-'));
    const state = join(folder, 'state.json');
    const copy = await attacked('');
    try {
      const before = await examine(copy.url, { state: await AuditState.open(state, ORIGIN) });
      expect(before.findings).toEqual([]);
      await asAdministrator(copy.url, (client) =>
        client.query(`DELETE FROM entries WHERE ${DEMO} AND index >= 650; ${HEAD(650)}`),
      );
      const unseen = await examine(copy.url);
      expect([unseen.findings, unseen.verdict.result]).toEqual([[], 'proven']);
      table.push(['entries in no round yet cut off', 'not by the database alone', '', '0']);
      const seen = await examine(copy.url, { state: await AuditState.open(state, ORIGIN) });
      expect(seen.findings[0]).toMatchObject({ code: 'log-cut-off', log: 'demo', index: 650 });
      table.push(['the same, an earlier audit at hand', 'log-cut-off', 'demo 650', String(exitCode(seen.verdict))]);
    } finally {
      await copy.drop();
      await rm(folder, { recursive: true });
    }
  });

  test('the whole database set back: the chain knows a round that it does not', async () => {
    const { findings, verdict } = await examine(early.url);
    expect(findings[0]).toMatchObject({ code: 'root-unknown', round: 3 });
    table.push(['database set back to before round 3', 'root-unknown', 'round 3', String(exitCode(verdict))]);
    const alone = await examine(early.url, { nodes: [] });
    expect([alone.findings, alone.verdict.result]).toEqual([[], 'unproven']);
    table.push(['the same, no chain asked', 'nothing', '', String(exitCode(alone.verdict))]);
  });
});

describe('set back and recovered', () => {
  test('what the operator declared lost is told, and nothing is proven any more', async () => {
    const copy = await copyOf(early);
    try {
      await using(copy.url, ({ database, registry, sequencing }) =>
        recordedTransaction(database, registry.system, sequencing, async () => ({
          result: undefined,
          acts: [{ act: 'recovered', subject: 'local', reason: 'the chain has a round more' }],
        })),
      );
      const { findings, verdict } = await examine(copy.url);
      expect([findings, verdict.result]).toEqual([[], 'unproven']);
      const claim = verdict.claims.find(({ code }) => code === 'recovered');
      expect(claim?.says).toContain('1 round on chain from before');
      table.push(['the same, and recovered on record', 'recovered (a claim)', '', String(exitCode(verdict))]);
    } finally {
      await copy.drop();
    }
  });
});

describe('with the seed too', () => {
  /** Audits the history with the forged one in its place, and whatever else is done to hide that. */
  async function rebuilt(
    name: string,
    from: TestDatabase,
    hide: Attack['work'],
    options: Partial<AuditOptions> = {},
  ): Promise<Audit> {
    const copy = await copyOf(original);
    try {
      await transplant(from.url, copy.url);
      await asAdministrator(copy.url, async (client) => {
        if (typeof hide === 'string') await client.query(hide);
        else await hide(client, copy.url);
      });
      const result = await examine(copy.url, options);
      const [first] = result.findings;
      const place =
        first === undefined ? '' : first.index === null ? `round ${first.round}` : `${first.log} ${first.index}`;
      table.push([name, first?.code ?? 'nothing', place, String(exitCode(result.verdict))]);
      return result;
    } finally {
      await copy.drop();
    }
  }

  test('entries and tiles rebuilt, nothing signed anew: the checkpoints tell', async () => {
    const copy = await copyOf(original);
    try {
      const { rows } = await asAdministrator(copy.url, (client) =>
        client.query(`SELECT id FROM logs WHERE name = 'demo'`),
      );
      await transplant(forged.url, copy.url, ['entries', 'tiles', 'logs'], `log = ${rows[0]?.id}`);
      const { findings, verdict } = await examine(copy.url);
      expect(findings[0]).toMatchObject({ code: 'round-disagrees', log: 'demo', index: 0 });
      expect(findings.map(({ code }) => code)).toContain('checkpoint-differs');
      table.push(['log rebuilt without the seed', 'round-disagrees', 'demo 0', String(exitCode(verdict))]);
    } finally {
      await copy.drop();
    }
  });

  test('all rebuilt and signed anew: in order by itself, and the anchors tell', async () => {
    const alone = await examine(forged.url, { nodes: [] });
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
  // An earlier audit's memory of another tree: audit.test.ts. What a third party sees: test/mirror. What calendars answered:
  // timestamps.test.ts.
  expect([...seen, 'log-rewritten', 'timestamp-broken', ...REMOTE_FAULTS].sort()).toEqual(Object.keys(FAULTS).sort());
  const page = readFileSync(new URL('../../../docs/audit.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `([a-z-]+)` \| (\S+) \|/gm)].map(([, code, kind]) => [code, kind]);
  const documented = [
    ...Object.entries(FAULTS).map(([code, { claim }]) => [code, claim]),
    ...Object.entries(STANDINGS).map(([code, status]) => [code, status]),
  ];
  expect(rows.sort()).toEqual(documented.sort());
});
