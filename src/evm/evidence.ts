// The proofs of anchors, taken and stored while nodes have what they are made of.

import { isAnchored } from '../core/anchored-event.ts';
import { prefixedHex, toHex } from '../core/bytes.ts';
import { AntequemError, type ErrorCode } from '../core/errors.ts';
import { readEvmReceipt, readHeader } from '../core/evm-bytes.ts';
import { checkEvmProof } from '../core/evm-proof.ts';
import { type EvmProof, evmProofSchema } from '../core/receipt-schema.ts';
import { formatTime } from '../core/time.ts';
import { within } from '../core/time-limit.ts';
import type { Database } from '../store/database.ts';
import { isOpaque, type RebuiltBlock, rebuildBlock } from './block.ts';
import { insertProblem, retryAll, type Wanted, wantedEvidence } from './evidence-store.ts';
import type { EvmNode, RawSource } from './node.ts';
import type { Observation } from './observation.ts';
import { noteOpaqueBlock, noteRebuiltBlock, opaqueSays } from './opaque.ts';
import { inParallel } from './parallel.ts';
import { type FoundProof, insertProofs } from './stored-proofs.ts';

export interface EvidenceRequest {
  readonly target: string;
  /** CAIP-2. */
  readonly chain: string;
  /** 0x and 40 lower-case hex digits. */
  readonly contract: string;
  /** Rounds whose evidence is tried again where it is due. */
  readonly rounds: readonly number[];
  /** What was just seen, not yet recorded. */
  readonly observations: readonly Observation[];
  /** Milliseconds until what failed is tried again; longer each time. */
  readonly retryAfter: number;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
}

/** What one call may take before the rest is left to the next: recording what was seen waits for it. */
const PATIENCE_MS = 20_000;
const AT_ONCE = 4;
/** Codes of errors that the next question would meet too. */
const SILENT: ReadonlySet<string> = new Set(['rpc-failed', 'rpc-throttled']);

/**
 * Stores a proof for each transaction that was seen in a block. It is called before that is recorded, so that an anchor
 * that is recorded in a block has its proof. Tries again what failed before. A chain that does not give what a proof
 * is made of stops nothing: that is noted. Throws only what the database throws.
 * @returns one sentence for each proof that failed for the first time; for a chain whose blocks cannot be rebuilt one in all
 */
export async function storeEvidence(database: Database, node: EvmNode, request: EvidenceRequest): Promise<string[]> {
  const { target, now } = request;
  const wanted = await wantedEvidence(database, request, now());
  const blocks = Map.groupBy(wanted, (each) => prefixedHex(each.block_hash));
  const until = now() + PATIENCE_MS;
  const problems: string[] = [];
  let silence: AntequemError | null = null;
  let proven = 0;
  let opened = false;
  await inParallel([...blocks], AT_ONCE, async ([hash, anchors]) => {
    // A node that does not answer once is not asked a hundred times.
    const block = silence ?? (await rebuildByAny(node.sources, hash, () => until - now()));
    if (block instanceof AntequemError && SILENT.has(block.code)) silence = block;
    const opaque = block instanceof AntequemError && isOpaque(block.code);
    const chain = opaque ? await noteOpaqueBlock(database, target, hash, block, now()) : null;
    if (opaque && chain?.news === true) problems.push(opaqueSays(request.chain, block.message));
    if (!(block instanceof AntequemError)) opened = (await noteRebuiltBlock(database, target)) || opened;
    const found: FoundProof[] = [];
    for (const anchor of anchors) {
      const proof = block instanceof AntequemError ? block : proveAnchor(block, anchor, hash, request);
      if (!(proof instanceof AntequemError)) {
        found.push({ anchor, proof });
        continue;
      }
      const hopeless = chain?.opaque === true;
      await insertProblem(database, target, anchor, proof, { now: now(), retryAfter: request.retryAfter, hopeless });
      if (anchor.attempts === 0 && !hopeless) problems.push(`no proof of round ${anchor.round} yet: ${proof.message}`);
    }
    await insertProofs(database, target, found, now());
    proven += found.length;
  });
  if (opened) problems.push(`the blocks of ${request.chain} can be rebuilt again`);
  if (proven > 0) await retryAll(database, target, { all: opened, now: now() });
  return problems;
}

/** The proof, checked as a verifier will check it; or why there is none. */
function proveAnchor(
  block: RebuiltBlock,
  { transaction, root }: Wanted,
  hash: string,
  { chain, contract }: EvidenceRequest,
): EvmProof | AntequemError {
  const name = prefixedHex(transaction);
  const index = block.hashes.indexOf(name);
  const receipt = block.receipts.value(index);
  if (receipt === undefined) return new AntequemError('block-unknown', `block ${hash} does not hold ${name}`);
  try {
    const { logs } = readEvmReceipt(receipt);
    const proof = {
      header: prefixedHex(block.header),
      index,
      transaction: block.transactions.prove(index).map(prefixedHex),
      receipt: block.receipts.prove(index).map(prefixedHex),
      logIndex: Math.max(
        0,
        logs.findIndex((log) => isAnchored(log, contract, toHex(root))),
      ),
    };
    const { number, time } = readHeader(block.header);
    const identity = { type: 'evm', chain, contract, transaction: name, status: 'included' } as const;
    const anchor = { ...identity, block: { number, hash, time: formatTime(time) }, proof };
    const check = checkEvmProof(anchor, toHex(root));
    if (check?.holds !== true) return new AntequemError('proof-broken', check?.says ?? 'no proof');
    const form = evmProofSchema.safeParse(proof, { jitless: true });
    return form.success
      ? form.data
      : new AntequemError('proof-large', `the proof of ${name} is too large for a receipt`);
  } catch (error) {
    return failureOf(error, 'proof-failed');
  }
}

/** The block by the first endpoint that tells what it is made of, or why the last of them does not. */
async function rebuildByAny(
  sources: readonly RawSource[],
  hash: string,
  left: () => number,
): Promise<RebuiltBlock | AntequemError> {
  let failure = new AntequemError('rpc-failed', 'there is no endpoint to ask');
  for (const [i, source] of sources.entries()) {
    try {
      return await within(left() / (sources.length - i), rebuildBlock(source, hash), () => {
        throw new AntequemError('rpc-failed', `${source.name} took too long to tell what a proof is made of`);
      });
    } catch (error) {
      failure = failureOf(error, 'rpc-failed');
    }
  }
  return failure;
}

function failureOf(error: unknown, code: ErrorCode): AntequemError {
  return error instanceof AntequemError ? error : new AntequemError(code, `${error}`, { cause: error });
}
