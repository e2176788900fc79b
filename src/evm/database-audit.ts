// The audit of the EVM anchors and accounts in a database. The chain is the one witness that nobody with the database and
// the seed can rewrite.

import type { AuditedSnapshot, DatabaseAudit } from '../anchor/kind.ts';
import type { AnchorEvent, AuditTrust, ChainOutcome, FirstEntry } from '../core/anchor-audit.ts';
import { sourceFailure } from '../core/anchor-verifier.ts';
import { Bitset } from '../core/bitset.ts';
import { prefixedHex, toHex } from '../core/bytes.ts';
import { hasCode } from '../core/errors.ts';
import { isDevelopmentChain } from '../core/evm-source.ts';
import type { Queryable } from '../store/database.ts';
import artifact from './anchor-artifact.json' with { type: 'json' };
import {
  type AnchorLedger,
  auditChain,
  type ChainView,
  type ClaimedAnchor,
  type LedgerRound,
  viewChains,
} from './chain-audit.ts';
import { damagedProofs } from './stored-proofs.ts';

const ROWS_AT_ONCE = 1_000;

export async function openEvmAudit(trust: AuditTrust): Promise<DatabaseAudit> {
  const { views, failures } = await viewChains(trust.nodes);
  return {
    check: async (snapshot) => {
      await checkAccounts(snapshot);
      const outcomes = await checkChains(snapshot, views, trust);
      await checkProofs(snapshot);
      return [...failures, ...outcomes];
    },
  };
}

/** The accounts that pay must be those that `_system` declares. */
async function checkAccounts({ db, declared, faults }: AuditedSnapshot): Promise<void> {
  const key = ({ chain, address }: { readonly chain: string; readonly address: string }): string =>
    `${address.toLowerCase()} on ${chain}`;
  const told = new Set(declared.senders.map(key));
  const { rows } = await db.query<{ chain: string; address: string; declared: boolean }>(
    'SELECT chain, address, declared_at IS NOT NULL AS declared FROM evm_accounts ORDER BY chain, address',
  );
  for (const row of rows) {
    if (told.has(key(row)) === row.declared) continue;
    const says = row.declared
      ? 'is there as declared, and _system does not tell of it'
      : 'is declared by _system, and not there as such';
    faults.add('sender-differs', {}, `the account ${key(row)} ${says}`);
  }
  const there = new Set(rows.map(key));
  for (const account of told) {
    if (!there.has(account)) {
      faults.add('sender-differs', {}, `the account ${account} is declared by _system, and not there`);
    }
  }
}

/** Proofs must lead from the block that an anchor is recorded in to the root of its round, as receipts have them. */
async function checkProofs({ db, faults, onProgress }: AuditedSnapshot): Promise<void> {
  const damaged = damagedProofs(db, (round) => onProgress(`proofs of round ${round}`));
  for await (const { round, target, says } of damaged) {
    faults.add(
      'anchor-differs',
      { round },
      `the proof that round ${round} is anchored by ${target} does not hold: ${says}`,
    );
  }
}

/** Compares the rounds with every chain that can be asked, and names the others. */
async function checkChains(
  snapshot: AuditedSnapshot,
  views: readonly ChainView[],
  trust: AuditTrust,
): Promise<ChainOutcome[]> {
  const { rows } = await snapshot.db.query<{ chain: string; genesis: Uint8Array | null; anchored: number }>(
    `SELECT t.chain, (array_agg(t.genesis))[1] AS genesis,
            sum((SELECT count(*) FROM anchors a WHERE a.target = t.name AND a.status = 'finalized'))::bigint AS anchored
     FROM targets t WHERE t.kind = 'evm' GROUP BY t.chain ORDER BY t.chain`,
  );
  const outcomes: ChainOutcome[] = [];
  for (const view of views) {
    const genesis = rows.find(({ chain }) => chain === view.chain)?.genesis ?? null;
    outcomes.push(await checkChain(snapshot, view, trust, genesis));
  }
  const asked = new Set(views.map(({ chain }) => chain));
  for (const { chain, anchored } of rows) {
    if (!asked.has(chain)) outcomes.push({ kind: 'no-source', chain, rounds: anchored });
  }
  return outcomes;
}

async function checkChain(
  { db, declared, faults, onProgress }: AuditedSnapshot,
  view: ChainView,
  { senders, fromBlock }: AuditTrust,
  genesis: Uint8Array | null,
): Promise<ChainOutcome> {
  const { chain, source } = view;
  const node = source.describe();
  try {
    // Another start of a development chain says nothing about our anchors.
    if (isDevelopmentChain(chain) && genesis !== null) {
      const first = await source.block(0);
      if (first !== null && first.hash !== prefixedHex(genesis)) return { kind: 'other-instance', chain, node };
    }
    const { rows } = await db.query<{ contract: string }>(
      "SELECT DISTINCT contract FROM targets WHERE chain = $1 AND kind = 'evm'",
      [chain],
    );
    const ours = declared.senders.filter((sender) => sender.chain === chain).map(({ address }) => address);
    const answer = await auditChain({
      view,
      ledger: new StoredLedger(db, chain),
      faults,
      senders: [...new Set([...ours, ...senders].map((each) => each.toLowerCase()))],
      contracts: [...new Set([artifact.address.toLowerCase(), ...rows.map(({ contract }) => contract)])],
      fromBlock,
      memory: null,
      recoveredAt: declared.recoveredAt,
      counted: () => false,
      onBlock: (block) => onProgress(`${chain} block ${block} of ${view.until}`),
    });
    return { kind: 'asked', chain, node, answer };
  } catch (error) {
    if (hasCode(error, 'rpc-failed')) {
      return { kind: 'failed', chain, says: sourceFailure(source, error) };
    }
    throw error;
  }
}

interface AnchoredRow {
  number: number;
  root: Uint8Array;
  closed_at: number;
  transaction: Uint8Array | null;
  block_number: number | null;
  block_hash: Uint8Array | null;
  block_time: number | null;
}

/** The rounds of a database; the place of a round is its number. */
class StoredLedger implements AnchorLedger {
  readonly #db: Queryable;
  readonly #chain: string;
  /** Rounds whose row names the transaction that anchored them. */
  readonly #matched = new Bitset();

  constructor(db: Queryable, chain: string) {
    this.#db = db;
    this.#chain = chain;
  }

  async match(events: readonly AnchorEvent[]): Promise<(LedgerRound | null)[]> {
    const { rows } = await this.#db.query<AnchoredRow>(
      `SELECT r.number, r.root, r.closed_at, a.transaction, a.block_number, a.block_hash, a.block_time
       FROM rounds r LEFT JOIN (anchors a JOIN targets t ON t.name = a.target AND t.chain = $2) ON a.round = r.number
       WHERE r.root = ANY ($1)`,
      [events.map(({ root }) => Buffer.from(root)), this.#chain],
    );
    const byRoot = Map.groupBy(rows, (row) => toHex(row.root));
    return events.map(({ root, transaction }) => {
      const found = byRoot.get(toHex(root)) ?? [];
      const [first] = found;
      if (first === undefined) return null;
      const { number, closed_at: closedAt } = first;
      const own = found.filter((row) => row.transaction !== null && prefixedHex(row.transaction) === transaction);
      if (own.length > 0) this.#matched.add(number);
      return { place: number, number, closedAt, named: own.flatMap(blockNamedBy) };
    });
  }

  async *unmatched(until: number): AsyncGenerator<ClaimedAnchor> {
    for (let after = { round: 0, target: '' }; ; ) {
      const { rows } = await this.#db.query<{
        target: string;
        round: number;
        root: Uint8Array;
        transaction: Uint8Array;
        block_number: number;
      }>(
        `SELECT a.target, a.round, r.root, a.transaction, a.block_number
         FROM anchors a JOIN targets t ON t.name = a.target JOIN rounds r ON r.number = a.round
         WHERE t.chain = $1 AND a.status = 'finalized' AND a.transaction IS NOT NULL AND (a.round, a.target) > ($2, $3)
         ORDER BY a.round, a.target LIMIT $4`,
        [this.#chain, after.round, after.target, ROWS_AT_ONCE],
      );
      for (const { round, root, transaction, block_number } of rows) {
        if (this.#matched.has(round) || block_number > until) continue;
        yield { place: round, number: round, root: new Uint8Array(root), transaction: prefixedHex(transaction) };
      }
      const last = rows.at(-1);
      if (last === undefined || rows.length < ROWS_AT_ONCE) return;
      after = last;
    }
  }

  async firstEntry(round: number): Promise<FirstEntry | null> {
    const { rows } = await this.#db.query<FirstEntry>(
      `SELECT l.name AS log, coalesce((SELECT max(size) FROM round_logs p WHERE p.log = n.log AND p.size < n.size), 0) AS index
       FROM round_leaves n JOIN logs l ON l.id = n.log WHERE n.round = $1
       ORDER BY l.name LIKE E'\\\\_%', l.name COLLATE "C" LIMIT 1`,
      [round],
    );
    return rows[0] ?? null;
  }
}

function blockNamedBy(row: AnchoredRow): LedgerRound['named'] {
  if (row.block_number === null || row.block_hash === null) return [];
  return [{ number: row.block_number, hash: prefixedHex(row.block_hash), time: row.block_time }];
}
