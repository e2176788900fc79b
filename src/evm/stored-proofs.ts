// The rows of proofs. What the proofs of several rounds in one block have in common, its header and the upper nodes of its
// tries, is stored once. The proof of a round that is alone in its block is whole. Either is packed.

import { fromHex, prefixedHex, toHex } from '../core/bytes.ts';
import { parsed } from '../core/errors.ts';
import { readHeader } from '../core/evm-bytes.ts';
import { checkEvmProof } from '../core/evm-proof.ts';
import type { EvmProof } from '../core/receipt-schema.ts';
import { formatTime } from '../core/time.ts';
import type { Database, Queryable } from '../store/database.ts';
import type { Wanted } from './evidence-store.ts';
import { type ProofParts, packProof, unpackProof } from './packed-proof.ts';

/** Nodes of a block that proofs can refer to: the place of one is a byte. */
const MOST_NODES = 256;

/** Rounds before and behind one that may be in its block although they were seen at another time. */
const NEAR = 64;
const NOTHING = new Uint8Array(0);

/** A proof that an anchor was missing. */
export interface FoundProof {
  readonly anchor: Wanted;
  readonly proof: EvmProof;
}

/** Stores the proofs of anchors in one block. Those that are there already stay as they are. */
export async function insertProofs(
  database: Database,
  target: string,
  found: readonly FoundProof[],
  now: number,
): Promise<void> {
  if (found.length === 0) return;
  const places = await storeBlock(database, target, found);
  const signed = await signedTransactions(database, target, found);
  for (const { anchor, proof } of found) {
    const transaction = divide(proof.transaction, places);
    const receipt = divide(proof.receipt, places);
    const header = places === null ? bufferOf(proof.header) : NOTHING;
    const parts = { header, transaction: transaction.own, receipt: receipt.own };
    await database.query(
      `WITH stale AS (
         DELETE FROM evm_evidence WHERE target = $1 AND round = $2 AND block_hash <> $3 AND index IS NULL)
       INSERT INTO evm_evidence (target, round, block_hash, transaction, index, transaction_nodes, receipt_nodes, packed, log_index,
                                 attempts, stored_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
       ON CONFLICT (target, round, block_hash) DO UPDATE SET
         transaction = EXCLUDED.transaction, index = EXCLUDED.index, transaction_nodes = EXCLUDED.transaction_nodes,
         receipt_nodes = EXCLUDED.receipt_nodes, packed = EXCLUDED.packed, log_index = EXCLUDED.log_index, attempts = EXCLUDED.attempts,
         problem = NULL, code = NULL, encoder = NULL, retry_at = NULL, stored_at = EXCLUDED.stored_at
       WHERE evm_evidence.index IS NULL`,
      [
        target,
        anchor.round,
        anchor.block_hash,
        anchor.transaction,
        proof.index,
        transaction.places,
        receipt.places,
        packProof(parts, signed.get(prefixedHex(anchor.transaction)) ?? NOTHING),
        proof.logIndex,
        anchor.attempts + 1,
        now,
      ],
    );
  }
}

/** The signed transactions that anchors are in, by their hashes. */
async function signedTransactions(
  database: Database,
  target: string,
  found: readonly FoundProof[],
): Promise<Map<string, Uint8Array>> {
  const { rows } = await database.query<{ hash: Uint8Array; raw: Uint8Array }>(
    `SELECT t.hash, t.raw FROM unnest($2::bigint[], $3::bytea[]) AS f (round, hash)
     JOIN evm_transactions t ON t.target = $1 AND t.round = f.round AND t.hash = f.hash`,
    [target, found.map(({ anchor }) => anchor.round), found.map(({ anchor }) => Buffer.from(anchor.transaction))],
  );
  return new Map(rows.map(({ hash, raw }) => [prefixedHex(hash), new Uint8Array(raw)]));
}

type Places = ReadonlyMap<string, number>;

/** @returns the place of each node that is stored with the block, by its hex; null: the round is alone in it so far */
async function storeBlock(database: Database, target: string, found: readonly FoundProof[]): Promise<Places | null> {
  const [first] = found;
  if (first === undefined) return null;
  const hash = first.anchor.block_hash;
  const stored = async (): Promise<{ nodes: Uint8Array[] | null; others: boolean } | undefined> => {
    const { rows } = await database.query<{ nodes: Uint8Array[] | null; others: boolean }>(
      `SELECT (SELECT nodes FROM evm_blocks WHERE block_hash = $1), EXISTS (
         SELECT FROM evm_evidence WHERE target = $2 AND round BETWEEN $3::bigint - ${NEAR} AND $3 + ${NEAR} AND block_hash = $1
           AND index IS NOT NULL) AS others`,
      [hash, target, first.anchor.round],
    );
    return rows[0];
  };
  const before = await stored();
  if (before === undefined || (before.nodes === null && !before.others && found.length === 1)) return null;
  if (before.nodes !== null) return placesOf(before.nodes);
  // The last node of a proof holds the transaction or its receipt, and is in no other.
  const upper = found.flatMap(({ proof }) => [...proof.transaction.slice(0, -1), ...proof.receipt.slice(0, -1)]);
  await database.query(
    'INSERT INTO evm_blocks (block_hash, header, nodes) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
    [hash, bufferOf(first.proof.header), [...new Set(upper)].slice(0, MOST_NODES).map(bufferOf)],
  );
  // Another target on the chain may have brought it at the same time.
  return placesOf((await stored())?.nodes ?? []);
}

function placesOf(nodes: readonly Uint8Array[]): Places {
  return new Map(nodes.map((node, place) => [prefixedHex(node), place]));
}

/** Parts a path into the places of nodes that the block has, and the nodes below them. */
function divide(
  path: readonly string[],
  places: Places | null,
): { readonly places: Buffer | null; readonly own: Buffer[] } {
  if (places === null) return { places: null, own: path.map(bufferOf) };
  const shared: number[] = [];
  for (const node of path) {
    const place = places.get(node);
    if (place === undefined) break;
    shared.push(place);
  }
  return { places: Buffer.from(shared), own: path.slice(shared.length).map(bufferOf) };
}

function bufferOf(hex: string): Buffer {
  return Buffer.from(fromHex(hex.slice(2)));
}

/** The proof of an anchor, and what the header says of its block. */
export interface StoredProof {
  readonly block: { readonly number: number; readonly hash: string; readonly time: string };
  readonly proof: EvmProof;
}

interface ProofRow {
  round: number;
  target: string;
  block_hash: Uint8Array;
  /** Null: the row of the block is missing, or it is packed. */
  header: Uint8Array | null;
  nodes: Uint8Array[] | null;
  index: number;
  transaction_nodes: Uint8Array | null;
  /** Null: packed. */
  transaction_proof: Uint8Array[] | null;
  receipt_nodes: Uint8Array | null;
  receipt_proof: Uint8Array[] | null;
  log_index: number;
  packed: Uint8Array | null;
  /** What it is packed with; null: the transaction is missing. */
  raw: Uint8Array | null;
}

const COLUMNS = `e.round, e.target, e.block_hash, coalesce(e.header, b.header) AS header, b.nodes, e.index, e.transaction_nodes,
  e.transaction_proof, e.receipt_nodes, e.receipt_proof, e.log_index, e.packed,
  (SELECT raw FROM evm_transactions x WHERE x.target = e.target AND x.round = e.round AND x.hash = e.transaction LIMIT 1) AS raw`;
/** The proofs of anchors in the blocks that these are recorded in. Those that share nothing have the header with them. */
const PROOFS = `evm_evidence e JOIN anchors a USING (target, round, block_hash, transaction)
  LEFT JOIN evm_blocks b ON b.block_hash = e.block_hash AND e.transaction_nodes IS NOT NULL`;

/** The proofs of a round's anchors in the blocks they are recorded in, by target. Damaged ones are left out. */
export async function readProofs(database: Queryable, round: number): Promise<Map<string, StoredProof>> {
  const { rows } = await database.query<ProofRow>({
    name: 'read-proofs',
    text: `SELECT ${COLUMNS} FROM ${PROOFS} WHERE e.round = $1 AND e.index IS NOT NULL`,
    values: [round],
  });
  return new Map(
    rows.flatMap((row) => {
      const proof = proofOf(row);
      return proof === null ? [] : [[row.target, proof]];
    }),
  );
}

/** Null: a part of it is missing, or the header cannot be read. */
function proofOf(row: ProofRow): StoredProof | null {
  const parts = partsOf(row);
  if (parts === null) return null;
  const transaction = pathOf(row.transaction_nodes, row.nodes, parts.transaction);
  const receipt = pathOf(row.receipt_nodes, row.nodes, parts.receipt);
  const header = parsed(() => readHeader(parts.header));
  if (transaction === null || receipt === null || header === null) return null;
  return {
    block: { number: header.number, hash: prefixedHex(row.block_hash), time: formatTime(header.time) },
    proof: { header: prefixedHex(parts.header), index: row.index, transaction, receipt, logIndex: row.log_index },
  };
}

/** The header, and the nodes that the block does not have. */
function partsOf({ packed, raw, header, transaction_proof, receipt_proof }: ProofRow): ProofParts | null {
  if (packed === null) {
    if (header === null || transaction_proof === null || receipt_proof === null) return null;
    return { header: new Uint8Array(header), transaction: transaction_proof, receipt: receipt_proof };
  }
  const own = unpackProof(new Uint8Array(packed), raw === null ? NOTHING : new Uint8Array(raw));
  if (own === null || own.header.length > 0) return own;
  return header === null ? null : { ...own, header: new Uint8Array(header) };
}

/** The nodes of a path as receipts have them, null where the block lacks one. */
function pathOf(places: Uint8Array | null, nodes: Uint8Array[] | null, own: readonly Uint8Array[]): string[] | null {
  const shared = [...(places ?? [])].flatMap((place) => nodes?.[place] ?? []);
  if (shared.length !== (places?.length ?? 0)) return null;
  return [...shared, ...own].map(prefixedHex);
}

const PROOFS_AT_ONCE = 200;

/** For the audit: what is wrong with stored proofs, one after the other. */
export async function* damagedProofs(
  database: Queryable,
  onRound: (round: number) => void,
): AsyncGenerator<{ readonly round: number; readonly target: string; readonly says: string }> {
  for (let after = { round: 0, target: '' }; ; ) {
    const { rows } = await database.query<
      ProofRow & { transaction: Uint8Array; root: Uint8Array; chain: string; contract: string }
    >(
      `SELECT ${COLUMNS}, e.transaction, r.root, t.chain, t.contract
       FROM ${PROOFS} JOIN rounds r ON r.number = e.round JOIN targets t ON t.name = e.target
       WHERE (e.round, e.target) > ($1, $2) AND e.index IS NOT NULL ORDER BY e.round, e.target LIMIT $3`,
      [after.round, after.target, PROOFS_AT_ONCE],
    );
    for (const row of rows) {
      const { round, target, chain, contract } = row;
      onRound(round);
      const stored = proofOf(row);
      const identity = { type: 'evm', chain, contract, transaction: prefixedHex(row.transaction) } as const;
      const check = stored && checkEvmProof({ ...identity, status: 'included', ...stored }, toHex(row.root));
      if (check?.holds === true) continue;
      yield { round, target, says: check?.says ?? 'A part of it is missing.' };
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < PROOFS_AT_ONCE) return;
    after = last;
  }
}
