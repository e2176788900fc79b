// What receipts bear of a round's calendars: one timestamp of its root, and the blocks that confirm it.

import { parseHeader } from '../core/bitcoin-header.ts';
import { toBase64, toHex } from '../core/bytes.ts';
import type { OpenTimestampsAnchor } from '../core/receipt-schema.ts';
import { formatTime } from '../core/time.ts';
import type { Queryable } from '../store/database.ts';
import { readAnswers } from './answers.ts';
import { assemble, type Judgement } from './assembly.ts';

/** Blocks a receipt has room for. */
const MOST_BLOCKS = 16;

/** A block that an attestation of the round is in. */
export interface AttestedBlock {
  readonly height: number;
  readonly merkleRoot: Uint8Array;
  readonly state: 'unseen' | 'included' | 'confirmed' | 'buried' | 'contradicted';
  /** 80 bytes; null where no such block was seen. */
  readonly header: Uint8Array | null;
}

/** The anchors of a round by calendars: one for each target that has an answer. */
export async function readOtsAnchors(database: Queryable, round: number): Promise<OpenTimestampsAnchor[]> {
  const { rows } = await database.query<{ target: string; chain: string; root: Uint8Array }>({
    name: 'ots-anchors',
    text: `SELECT a.target, t.chain, r.root FROM anchors a JOIN targets t ON t.name = a.target
           JOIN rounds r ON r.number = a.round
           WHERE a.round = $1 AND a.kind = 'opentimestamps' ORDER BY a.target`,
    values: [round],
  });
  const anchors = await Promise.all(
    rows.map(async ({ target, chain, root }) => {
      const [answers, blocks] = await Promise.all([
        readAnswers(database, target, round),
        readBlocks(database, target, round),
      ]);
      return anchorOf(chain, new Uint8Array(root), answers, blocks);
    }),
  );
  return anchors.filter((anchor) => anchor !== null);
}

function anchorOf(
  chain: string,
  root: Uint8Array,
  answers: Parameters<typeof assemble>[1],
  blocks: readonly AttestedBlock[],
): OpenTimestampsAnchor | null {
  const assembly = assemble(root, answers, judgeBy(blocks));
  if (assembly === null) return null;
  const timestamp = toBase64(assembly.bytes);
  const borne = new Set(
    assembly.lines.flatMap(({ attestation, message }) =>
      attestation.kind === 'bitcoin' ? [place(attestation.height, message)] : [],
    ),
  );
  const confirmed = new Map(
    blocks
      .filter((block) => isConfirmed(block) && borne.has(place(block.height, block.merkleRoot)))
      .flatMap(({ height, header }) => (header === null ? [] : [[height, header] as const])),
  );
  if (confirmed.size === 0) return { type: 'opentimestamps', status: 'pending', timestamp };
  return {
    type: 'opentimestamps',
    status: 'confirmed',
    timestamp,
    blocks: [...confirmed].slice(0, MOST_BLOCKS).map(([height, header]) => ({
      chain,
      height,
      header: toHex(header),
      time: formatTime(parseHeader(header).time),
    })),
  };
}

/** What the blocks say of attestations; of what was not looked up nothing speaks against it. */
function judgeBy(blocks: readonly AttestedBlock[]): (height: number, merkleRoot: Uint8Array) => Judgement {
  const states = new Map<string, Judgement>();
  for (const block of blocks) {
    const key = place(block.height, block.merkleRoot);
    // Two answers may lead to one block, and be looked up one after the other.
    if (isConfirmed(block)) states.set(key, 'confirmed');
    else if (states.get(key) !== 'confirmed') states.set(key, block.state === 'contradicted' ? 'contradicted' : 'live');
  }
  return (height, merkleRoot) => states.get(place(height, merkleRoot)) ?? 'live';
}

/** By height. */
async function readBlocks(database: Queryable, target: string, round: number): Promise<AttestedBlock[]> {
  const { rows } = await database.query<{
    height: number;
    merkle_root: Uint8Array;
    state: AttestedBlock['state'];
    header: Uint8Array | null;
  }>({
    name: 'ots-blocks',
    text: `SELECT DISTINCT t.height, t.merkle_root, t.state, b.header
           FROM ots_requests q JOIN ots_attestations t ON t.request = q.id LEFT JOIN ots_blocks b USING (block_hash)
           WHERE q.target = $1 AND q.round = $2 ORDER BY t.height`,
    values: [target, round],
  });
  return rows.map(({ height, merkle_root, state, header }) => ({
    height,
    merkleRoot: new Uint8Array(merkle_root),
    state,
    header: header === null ? null : new Uint8Array(header),
  }));
}

function isConfirmed({ state }: AttestedBlock): boolean {
  return state === 'confirmed' || state === 'buried';
}

function place(height: number, merkleRoot: Uint8Array): string {
  return `${height} ${toHex(merkleRoot)}`;
}
