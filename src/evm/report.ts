// What operators are told about EVM targets: contract, accounts, what they hold and spend.

import type { KindMeasures, KindReport } from '../anchor/kind.ts';
import type { AuditedChain } from '../core/anchor-audit.ts';
import { toHex } from '../core/bytes.ts';
import { formatTime } from '../core/time.ts';
import type { Queryable } from '../store/database.ts';
import { spentInADay } from './budget.ts';
import { formatEther } from './ether.ts';
import { type MissingProofs, missingProofs } from './evidence-store.ts';
import { type OpaqueChain, opaqueSays, readOpaque } from './opaque.ts';

interface Payer {
  readonly target: string;
  readonly chain: string;
  /** 0x-hex. */
  readonly address: string;
  /** Wei when last looked at, at that time; null: not yet. */
  readonly balance: { readonly wei: bigint; readonly low: boolean; readonly at: number } | null;
  /** Wei that the last 24 hours cost or may cost. */
  readonly spent: bigint;
}

export async function reportEvm(database: Queryable, now: number): Promise<Map<string, KindReport>> {
  const [{ rows }, payers, missing, opaque] = await Promise.all([
    database.query<{
      name: string;
      chain: string;
      contract: string;
      mode: 'anchor' | 'announce';
      store_every: number | null;
      stored: number | null;
      storing: number | null;
      problem: string | null;
    }>(
      `SELECT name, chain, contract, mode, store_every, s.round AS storing, s.problem,
              (SELECT max(x.round) FROM evm_transactions x WHERE x.target = name AND x.stores AND x.status <> 'abandoned'
                 AND x.status IN ('included', 'finalized')) AS stored
       FROM targets LEFT JOIN LATERAL (
         SELECT round, problem FROM evm_stores WHERE target = name AND status <> 'finalized' ORDER BY round DESC LIMIT 1) s
         ON true WHERE kind = 'evm'`,
    ),
    readPayers(database, now),
    missingProofs(database),
    readOpaque(database),
  ]);
  return new Map(
    rows.map(({ name, chain, contract, mode, store_every, ...stores }) => {
      const accounts = payers.filter(({ target }) => target === name);
      const unproven = missing.filter(({ target }) => target === name);
      const closed = opaque.get(name) ?? null;
      return [
        name,
        {
          where: `${mode} at ${contract}${store_every === null ? '' : `, one round in ${store_every / 60_000} min stored`}`,
          lines: [
            ...accounts.map(lineOf),
            ...(store_every === null ? [] : [storeLine(stores)]),
            ...proofLines(chain, unproven, closed),
          ],
          // Wei as text: JSON numbers would lose digits.
          facts: {
            contract,
            mode,
            accounts: accounts.map(({ address, balance, spent }) => ({
              address,
              balance:
                balance === null ? null : { wei: `${balance.wei}`, low: balance.low, at: formatTime(balance.at) },
              spentIn24Hours: `${spent}`,
            })),
            calendars: [],
            // What opaque chains are, and proofs: docs/chains.md.
            opaque: closed === null ? null : { ...closed, since: formatTime(closed.since) },
            withoutProof: unproven.map(({ code, rounds, says }) => ({ code, rounds, says })),
          },
        },
      ];
    }),
  );
}

function lineOf({ address, balance, spent }: Payer): KindReport['lines'][number] {
  const holds = balance === null ? 'not looked at yet' : `holds ${formatEther(balance.wei)}`;
  return {
    label: 'account',
    says: `${address} ${holds}; ${formatEther(spent)} spent or promised in 24 hours`,
    alarm: balance?.low === true ? 'low: send it more' : null,
  };
}

function storeLine(stores: {
  readonly stored: number | null;
  readonly storing: number | null;
  readonly problem: string | null;
}): KindReport['lines'][number] {
  const { stored, storing, problem } = stores;
  const newest = stored === null ? 'no round yet' : `round ${stored} is the newest`;
  const next = storing === null ? '' : `; round ${storing} is on its way${problem === null ? '' : `: ${problem}`}`;
  return { label: 'stored', says: `${newest}${next}`, alarm: null };
}

function proofLines(
  chain: string,
  missing: readonly MissingProofs[],
  opaque: OpaqueChain | null,
): KindReport['lines'][number][] {
  const lines = missing.map(({ code, rounds, says }) => ({
    label: 'proofs',
    says: `${rounds.toLocaleString('en')} missing (${code}): ${says}`,
    alarm: null,
  }));
  if (opaque === null) return lines;
  return [...lines, { label: 'blocks', says: opaqueSays(chain, opaque.problem), alarm: null }];
}

export async function measureEvm(database: Queryable, now: number): Promise<KindMeasures> {
  const [payers, { rows: targets }, missing, opaque] = await Promise.all([
    readPayers(database, now),
    database.query<{ name: string; chain: string }>("SELECT name, chain FROM targets WHERE kind = 'evm' ORDER BY name"),
    missingProofs(database),
    readOpaque(database),
  ]);
  const proofs = targets.flatMap(({ name: target, chain }) => [
    {
      name: 'antequem_chain_opaque',
      help: 'Whether the newest blocks of the chain cannot be rebuilt, so that anchors there have no proof.',
      labels: { target, chain },
      value: opaque.has(target) ? 1 : 0,
    },
    ...missing.flatMap(({ target: of, code, rounds }) =>
      of === target
        ? {
            name: 'antequem_anchors_without_proof',
            help: 'Anchors in blocks without a proof that leads there, by why.',
            labels: { target, chain, code },
            value: rounds,
          }
        : [],
    ),
  ]);
  const gauges = payers.flatMap(({ target, chain, address, balance, spent }) => {
    const labels = { target, chain, address };
    const spending = {
      name: 'antequem_spent_coins',
      help: 'What the last 24 hours cost or may cost, in the coin of the chain.',
      labels,
      value: coins(spent),
    };
    if (balance === null) return [spending];
    return [
      spending,
      {
        name: 'antequem_balance_coins',
        help: 'What the account held when last looked at, in the coin of the chain.',
        labels,
        value: coins(balance.wei),
      },
      { name: 'antequem_balance_low', help: 'Whether that does not last long.', labels, value: balance.low ? 1 : 0 },
    ];
  });
  const low = new Set(payers.filter(({ balance }) => balance?.low === true).map(({ target }) => target));
  // No amounts: readiness is told without a key.
  return {
    gauges: [...gauges, ...proofs],
    notices: [
      ...[...low].sort().map((name) => `the account of the target ${name} holds little: send it more`),
      ...targets.flatMap(({ name, chain }) => {
        const closed = opaque.get(name);
        return closed === undefined ? [] : `target ${name}: ${opaqueSays(chain, closed.problem)}`;
      }),
    ],
  };
}

export async function auditedEvmChains(database: Queryable): Promise<AuditedChain[]> {
  const { rows } = await database.query<{ chain: string; contract: string; genesis: Uint8Array | null }>(
    "SELECT DISTINCT chain, contract, genesis FROM targets WHERE kind = 'evm' ORDER BY chain, contract",
  );
  return rows.map(({ chain, contract, genesis }) => ({
    chain,
    contract,
    ...(genesis === null ? {} : { genesis: toHex(genesis) }),
  }));
}

async function readPayers(database: Queryable, now: number): Promise<Payer[]> {
  const { rows } = await database.query<{
    target: string;
    chain: string;
    address: string;
    balance: string | null;
    balance_low: boolean | null;
    balance_at: number | null;
  }>('SELECT target, chain, address, balance::text, balance_low, balance_at FROM evm_accounts ORDER BY address');
  return Promise.all(
    rows.map(async ({ target, chain, address, balance, balance_low, balance_at }) => ({
      target,
      chain,
      address,
      balance:
        balance === null || balance_at === null
          ? null
          : { wei: BigInt(balance), low: balance_low === true, at: balance_at },
      spent: await spentInADay(database, { chain, address }, now),
    })),
  );
}

/** Of wei. Six digits are more than a graph shows. */
function coins(wei: bigint): number {
  return Number(wei / 10n ** 9n) / 1e9;
}
