// Signs roots of logs for COSE receipts (RFC 9942).

import { equalBytes } from '../core/bytes.ts';
import { type CoseSigner, coseMessage } from '../core/cose-receipt.ts';
import { AntequemError } from '../core/errors.ts';
import { LruCache } from '../core/lru.ts';
import { consistencyRanges } from '../core/merkle.ts';
import { verifyConsistency } from '../core/proof.ts';
import { within } from '../core/time-limit.ts';
import { checkpointConflict } from './checkpoint-conflict.ts';
import type { Log } from './log.ts';
import type { Publisher } from './publish.ts';
import type { Registry } from './registry.ts';
import type { RollbackState } from './rollback.ts';
import type { TileStore } from './tilestore.ts';

/** Some 400 bytes each. */
const KEPT_ROOTS = 10_000;
/** Milliseconds that a signature may take. */
const SIGN_PATIENCE_MS = 5_000;

export interface SignedRoot extends CoseSigner {
  readonly root: Uint8Array;
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

export interface RootSigningParts {
  readonly registry: Registry;
  readonly publisher: Publisher;
  readonly tiles: TileStore;
  readonly rollback: RollbackState;
}

/**
 * Signs the roots of checkpoints once more, as COSE, with the oldest key that signs for the log: verifiers have known that one
 * longest, and learn of the others until it is retired.
 */
export class RootSigning {
  readonly #parts: RootSigningParts;
  readonly #kept = new LruCache<string, SignedRoot>(KEPT_ROOTS);

  constructor(parts: RootSigningParts) {
    this.#parts = parts;
  }

  /**
   * The signed root of a log at a size for which a checkpoint was signed. The root in the database is signed only if the newest
   * published tree, which the guard has released, begins with it: nobody gets a signature by writing into the database.
   * @throws AntequemError `size-not-signed`, `checkpoint-conflict`, and what publishing throws
   */
  async sign(log: Log, size: number): Promise<SignedRoot> {
    const { registry, publisher, rollback } = this.#parts;
    rollback.demand();
    await registry.noticeKeys();
    const name = `${log.id}/${size}/${registry.keyEpoch}`;
    const kept = this.#kept.get(name);
    if (kept !== undefined) return kept;
    const checkpoint = await publisher.at(log, size);
    if (checkpoint === null) {
      const says = `no checkpoint of ${log.name} at size ${size} was signed: ask for a size that a receipt or a checkpoint has`;
      throw new AntequemError('size-not-signed', says);
    }
    await this.#demandPublished(log, size, checkpoint.root);
    const [signer] = await registry.signers(log);
    if (signer === undefined) throw new AntequemError('internal', `no key for ${log.name}`);
    const { keyId } = signer.cose;
    const header = { keyId, issuer: registry.serviceOrigin, log: log.origin };
    const signature = await within(
      SIGN_PATIENCE_MS,
      Promise.resolve(signer.cose.sign(coseMessage(header, checkpoint.root))),
      () => {
        const says = `the signer of ${log.origin} has not answered for ${SIGN_PATIENCE_MS} ms`;
        throw new AntequemError('signer-silent', says);
      },
    );
    const signed = { ...header, root: checkpoint.root, signature };
    this.#kept.set(name, signed);
    return signed;
  }

  async #demandPublished(log: Log, size: number, root: Uint8Array): Promise<void> {
    const newest = await this.#parts.publisher.covering(log, size - 1);
    if (newest.size === size && equalBytes(newest.root, root)) return;
    const path = await this.#parts.tiles.ranges(log, consistencyRanges(size, newest.size), newest.size);
    if (!verifyConsistency(size, newest.size, path, root, newest.root)) throw checkpointConflict();
  }
}
