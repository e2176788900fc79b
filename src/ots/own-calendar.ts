// What we know as an OpenTimestamps calendar of a leaf that a round has, or will have.

import type { TakenDigest } from '../anchor/digests.ts';
import { leafPlace } from '../anchor/leaf-place.ts';
import type { RoundTrees } from '../anchor/roundtrees.ts';
import { parseHeader } from '../core/bitcoin-header.ts';
import { fromBase64, fromHex, toHex } from '../core/bytes.ts';
import { leafStep, type Step, treeSteps } from '../core/path.ts';
import type { OpenTimestampsAnchor } from '../core/receipt.ts';
import { DIGEST_LEAF_PREFIX } from '../core/round.ts';
import type { Queryable } from '../store/database.ts';
import { type Line, pathOps, shortestProof, timestampAlong } from './line.ts';
import { parseTimestamp, serializeTimestamp } from './serialization.ts';
import { type Timestamp, TimestampBuilder } from './timestamp.ts';

/** Bytes an answer may have: clients read no more. */
const MAX_ANSWER = 10_000;
/**
 * Operations from a leaf hash to Bitcoin. Clients take 255 from the file on, and have some of their own before what they
 * send to a calendar: a nonce, and a tree of the files that were stamped together.
 */
const MAX_OPERATIONS = 200;

export interface CalendarSources {
  readonly database: Queryable;
  readonly trees: RoundTrees;
  /** The anchors of a round by calendars. */
  readonly anchors: (round: number) => Promise<OpenTimestampsAnchor[]>;
  /** CAIP-2 id of the chain that clients take for Bitcoin. */
  readonly chain: string;
  /** What its pending attestations name: scheme, host and port. */
  readonly uri: string;
}

/** What is known of a commitment: of nothing, that it waits, or its serialized timestamp. */
export type Knowledge = 'unknown' | 'pending' | Uint8Array;

export class Calendar {
  readonly #sources: CalendarSources;
  readonly uri: string;

  constructor(sources: CalendarSources) {
    this.#sources = sources;
    this.uri = sources.uri;
  }

  /** The timestamp of a digest just taken, serialized: as far as its leaf hash, by which to ask again. */
  promise(digest: Uint8Array, { nonce }: TakenDigest): Uint8Array {
    const steps: Step[] = [{ prefix: new Uint8Array(0), suffix: nonce }, leafStep(DIGEST_LEAF_PREFIX)];
    const timestamp = new TimestampBuilder(digest);
    timestamp.follow(pathOps(steps)).attest({ kind: 'pending', uri: this.uri });
    return serializeTimestamp(timestamp.finish());
  }

  /** By leaf hash, 32 bytes. @throws AntequemError `round-damaged` */
  async find(leafHash: Uint8Array): Promise<Knowledge> {
    const { database, trees, anchors, chain } = this.#sources;
    const place = await leafPlace(database, trees, leafHash);
    if (place === 'unknown' || place === 'waiting') return place === 'unknown' ? 'unknown' : 'pending';
    const found = await anchors(place.round);
    const proofs = found.flatMap((anchor) => confirmedBy(anchor, chain));
    if (proofs.length === 0) return 'pending';
    const { round, tree } = await trees.read(place.round);
    const steps = treeSteps(place.index, tree.size, tree.inclusionPath(place.index));
    const left = MAX_OPERATIONS - pathOps(steps).length;
    for (const { timestamp, blocks } of proofs.map((proof) => readProof(proof, round.root))) {
      const proof = shortestProof(timestamp, (line) => line.ops.length <= left && isIn(line, blocks));
      const answer = proof === null ? null : serializeTimestamp(timestampAlong(leafHash, steps, proof));
      if (answer !== null && answer.length <= MAX_ANSWER) return answer;
    }
    return 'pending';
  }
}

type Confirmed = Extract<OpenTimestampsAnchor, { readonly status: 'confirmed' }>;
/** Merkle roots by height. */
type Blocks = ReadonlyMap<number, string>;

function confirmedBy(anchor: OpenTimestampsAnchor, chain: string): Confirmed[] {
  if (anchor.status !== 'confirmed') return [];
  return anchor.blocks.some((block) => block.chain === chain) ? [anchor] : [];
}

function readProof(anchor: Confirmed, root: Uint8Array): { readonly timestamp: Timestamp; readonly blocks: Blocks } {
  const roots = anchor.blocks.map(
    ({ height, header }) => [height, toHex(parseHeader(fromHex(header)).merkleRoot)] as const,
  );
  return { timestamp: parseTimestamp(fromBase64(anchor.timestamp), root), blocks: new Map(roots) };
}

function isIn({ attestation, message }: Line, blocks: Blocks): boolean {
  return attestation.kind === 'bitcoin' && blocks.get(attestation.height) === toHex(message);
}
