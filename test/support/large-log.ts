import { ed25519 } from '@noble/curves/ed25519.js';
import { sha256, sha256Into } from '#sha256';
import { concat, toHex, utf8 } from '../../src/core/bytes.ts';
import { formatCheckpoint } from '../../src/core/checkpoint.ts';
import { commitTo, encodeEntry } from '../../src/core/entry.ts';
import { hashLeaf, MerkleTree } from '../../src/core/merkle.ts';
import { formatNote, formatVerifierKey, noteKeyId } from '../../src/core/note.ts';
import { logId } from '../../src/core/origin.ts';
import type { PendingReceipt, RoundReceipt } from '../../src/core/receipt.ts';
import { encodeCheckpointLeaf, encodeLink, firstPreviousRoot } from '../../src/core/round.ts';
import { formatTime } from '../../src/core/time.ts';
import { EPOCH, SERVICE, seeded } from './receipts.ts';

/** A log of a million entries in memory: 100 bytes an entry, all of it made of the index. */
export class LargeLog {
  readonly origin: string;
  readonly verifierKey: string;
  readonly size: number;
  readonly tree: MerkleTree;
  readonly checkpoint: string;

  constructor(size: number, name = 'large') {
    this.origin = `${SERVICE}/logs/${name}`;
    this.size = size;
    const secret = seeded(`key of ${name}`);
    const publicKey = ed25519.getPublicKey(secret);
    this.verifierKey = formatVerifierKey(this.origin, publicKey);
    const leaves = new Uint8Array(size * 32);
    const leaf = new Uint8Array(74);
    let previous = logId(this.origin);
    for (let i = 0; i < size; i++) {
      const commitment = commitTo(sha256(this.payload(i)), this.nonce(i));
      leaf.set(encodeEntry({ receivedAt: EPOCH + i, previous, commitment }), 1);
      sha256Into(leaf, leaves, i * 32);
      previous = leaves.subarray(i * 32, i * 32 + 32);
    }
    this.tree = new MerkleTree(leaves);
    const text = formatCheckpoint({ origin: this.origin, size, root: this.tree.root() });
    const signature = ed25519.sign(utf8(text), secret);
    const keyId = noteKeyId(this.origin, publicKey);
    this.checkpoint = formatNote({ text, signatures: [{ name: this.origin, keyId, signature }] });
  }

  payload(index: number): Uint8Array {
    return utf8(`line ${index}`);
  }

  nonce(index: number): Uint8Array {
    return seeded(`nonce ${index}`).subarray(0, 16);
  }

  receipt(index: number): PendingReceipt {
    const previous = index === 0 ? logId(this.origin) : this.tree.node({ level: 0, index: index - 1 });
    return {
      format: 'antequem-receipt/v1',
      entry: {
        log: this.origin,
        index,
        receivedAt: formatTime(EPOCH + index),
        digest: toHex(sha256(this.payload(index))),
        nonce: toHex(this.nonce(index)),
        previous: toHex(previous),
      },
      inclusion: { treeSize: this.size, path: this.tree.inclusionPath(index).map(toHex) },
      checkpoint: this.checkpoint,
    };
  }

  /** The one round that the log went into, closed after its last entry. */
  round(): { readonly root: Uint8Array; readonly round: RoundReceipt['round'] } {
    const closedAt = EPOCH + this.size;
    const previousRoot = firstPreviousRoot(SERVICE);
    const link = encodeLink({ number: 1, closedAt, previousRoot, beacons: [] });
    const head = encodeCheckpointLeaf({ logId: logId(this.origin), size: this.size, root: this.tree.root() });
    const tree = new MerkleTree(concat(...[link, head].map(hashLeaf)));
    const [path, linkPath] = [1, 0].map((index) => tree.inclusionPath(index).map(toHex));
    return {
      root: tree.root(),
      round: {
        number: 1,
        closedAt: formatTime(closedAt),
        root: toHex(tree.root()),
        size: 2,
        index: 1,
        path: path ?? [],
        link: { previousRoot: toHex(previousRoot), beacons: [], path: linkPath ?? [] },
      },
    };
  }
}
