// The form of `antequem-receipt/v1`: every field bounded, unknown members refused, except below `anchors`: a newer service
// may have kinds of anchors, and members of them, that this version does not know.

import * as z from 'zod/mini';
import { hashHex } from './hex.ts';
import { MAX_NOTE_CHARACTERS } from './note.ts';
import { isTime } from './time.ts';

export const RECEIPT_FORMAT = 'antequem-receipt/v1';

/** Characters that a receipt's JSON text may have. Proofs of a block are its largest part, some tens of thousands. */
export const MAX_RECEIPT_TEXT = 1_048_576;

/** `YYYY-MM-DDTHH:MM:SS.sssZ`, a day that exists. */
export const timeSchema = z
  .string()
  .check(
    z.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'not a time of the form YYYY-MM-DDTHH:MM:SS.sssZ'),
    z.refine(isTime, 'not a time that exists'),
  );

/** CAIP-2. */
export const chainSchema = z
  .string()
  .check(z.regex(/^[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}$/, 'not a CAIP-2 chain id, such as eip155:1'));

/** A block hash: of EVM chains with 0x, of others (Bitcoin: in RPC order) without. */
export const blockHashSchema = z
  .string()
  .check(z.regex(/^(?:0x)?[0-9a-f]{64}$/, 'not a block hash of 32 bytes in lower-case hex'));

/** A whole number from `least` on, below 2^53. */
export const countSchema = (least: number) =>
  z.int('not a whole number').check(z.minimum(least, `not a whole number from ${least} on`));

const evmHash = z.string().check(z.regex(/^0x[0-9a-f]{64}$/, 'not 32 bytes in lower-case hex after 0x'));
const evmChain = z
  .string()
  .check(z.regex(/^eip155:(?:0|[1-9][0-9]{0,31})$/, 'not the CAIP-2 id of an EVM chain, such as eip155:1'));
const bitcoinChain = z
  .string()
  .check(z.regex(/^bip122:[0-9a-f]{32}$/, 'not the CAIP-2 id of a Bitcoin chain: bip122: and 32 hex digits'));
const contract = z
  .string()
  .check(z.regex(/^0x[0-9a-f]{40}$/, 'not a contract address: 0x and 40 lower-case hex digits'));

/** A tree below 2^53 leaves is 53 levels high at most. */
const path = z.array(hashHex).check(z.maxLength(53, 'more than 53 hashes'));

/** RLP: a header has some 600 bytes; a trie node 532, or a transaction or receipt of ours. */
const rlp = z
  .string()
  .check(
    z.maxLength(2 + 2 * 16_384, 'more than 16,384 bytes'),
    z.regex(/^0x(?:[0-9a-f]{2})+$/, 'not lower-case hex of whole bytes after 0x'),
  );
const trieProof = z.array(rlp).check(z.minLength(1, 'no trie nodes'), z.maxLength(32, 'more than 32 trie nodes'));

const entry = z.strictObject({
  log: z
    .string()
    .check(
      z.maxLength(400, 'more than 400 characters'),
      z.regex(
        /^[a-z0-9][a-z0-9.:/~_-]*\/logs\/(?:_system|[a-z0-9][a-z0-9._-]{0,62})$/,
        'not the origin of a log, such as log.example.org/logs/payments',
      ),
    ),
  index: countSchema(0),
  receivedAt: timeSchema,
  digest: hashHex,
  nonce: z.string().check(z.regex(/^(?:[0-9a-f]{32})?$/, 'not 16 bytes in lower-case hex, nor empty')),
  previous: hashHex,
});

const inclusion = z.strictObject({ treeSize: countSchema(1), path });

/** A signed note, which a checkpoint's text, the log's signature and those of its witnesses fit into. */
const checkpoint = z
  .string()
  .check(z.minLength(1, 'empty'), z.maxLength(MAX_NOTE_CHARACTERS, 'more than 262,144 characters'));

const beacon = z.strictObject({ chain: chainSchema, height: countSchema(0), hash: blockHashSchema });

const round = z.strictObject({
  number: countSchema(1),
  closedAt: timeSchema,
  root: hashHex,
  // Leaf 0 is the link, so a round that holds an entry has two leaves at least.
  size: countSchema(2),
  index: countSchema(1),
  path,
  link: z.strictObject({
    previousRoot: hashHex,
    beacons: z.array(beacon).check(z.maxLength(3, 'more than 3 beacons')),
    path,
  }),
});

const evmIdentity = { type: z.literal('evm'), chain: evmChain, contract, transaction: evmHash };

const evmBlock = z.looseObject({ number: countSchema(0), hash: evmHash, time: timeSchema });

/** What leads from a block's hash to an anchor: RLP of the header, and trie nodes from its roots down. */
export const evmProofSchema = z.looseObject({
  header: rlp,
  index: countSchema(0),
  transaction: trieProof,
  receipt: trieProof,
  logIndex: countSchema(0),
});

const nothing = z.exactOptional(z.never('not before it is in a block'));
const submittedEvmAnchor = z.looseObject({
  ...evmIdentity,
  status: z.literal('submitted'),
  block: nothing,
  proof: nothing,
});

const includedEvmAnchor = z.looseObject({
  ...evmIdentity,
  status: z.enum(['included', 'finalized'], 'none of submitted, included, finalized'),
  block: evmBlock,
  proof: z.exactOptional(evmProofSchema),
});

/** Up to 65,536 bytes: one calendar's answer has 10,000 at most. */
const timestamp = z
  .string()
  .check(
    z.minLength(4, 'empty'),
    z.maxLength(87_384, 'more than 65,536 bytes'),
    z.regex(/^[A-Za-z0-9+/]+={0,2}$/, 'not base64'),
  );

const bitcoinBlock = z.looseObject({
  chain: bitcoinChain,
  height: countSchema(0),
  header: z.string().check(z.regex(/^[0-9a-f]{160}$/, 'not 80 bytes in lower-case hex')),
  time: timeSchema,
});

const pendingOtsAnchor = z.looseObject({
  type: z.literal('opentimestamps'),
  status: z.literal('pending'),
  timestamp,
  blocks: z.exactOptional(z.array(bitcoinBlock).check(z.maxLength(0, 'a pending timestamp has no blocks'))),
});

const confirmedOtsAnchor = z.looseObject({
  type: z.literal('opentimestamps'),
  status: z.literal('confirmed'),
  timestamp,
  blocks: z
    .array(bitcoinBlock)
    .check(z.minLength(1, 'a confirmed timestamp has a block'), z.maxLength(16, 'more than 16 blocks')),
});

/** A token over the root of the round, by a timestamp authority (RFC 3161). */
const rfc3161Anchor = z.looseObject({
  type: z.literal('rfc3161'),
  status: z.literal('stamped'),
  authority: z.string().check(z.minLength(1, 'empty'), z.maxLength(1_024, 'more than 1,024 characters')),
  time: timeSchema,
  accuracy: z.nullable(countSchema(0)),
  // What bounds a timestamp bounds a token, too.
  token: timestamp,
});

const anchor = z.discriminatedUnion('type', [
  rfc3161Anchor,
  z.discriminatedUnion('status', [submittedEvmAnchor, includedEvmAnchor]),
  z.discriminatedUnion('status', [pendingOtsAnchor, confirmedOtsAnchor]),
]);

/** The types of anchors that this version can check. */
export const ANCHOR_TYPES = { evm: 'evm', opentimestamps: 'opentimestamps', rfc3161: 'rfc3161' } as const satisfies {
  readonly [T in keyof AnchorOf]: T;
};

/** An anchor of any other type: only its size is bounded. */
const unknownAnchorForm = z.looseObject({
  // It ends the check: a known anchor that breaks its form is told by its own issues.
  type: z.string().check(z.regex(new RegExp(`^(?!(?:${Object.keys(ANCHOR_TYPES).join('|')})$)`), { abort: true })),
});

export const receiptAnchorSchema = z.union([anchor, unknownAnchorForm]);

/** Anchors that a receipt may have. */
export const MAX_ANCHORS = 16;

/** Bytes of one anchor as JSON without white space. */
export const MAX_ANCHOR_BYTES = 256_000;

/** Whether this version can check an anchor of this type. */
export function isKnownAnchor(anchor: ReceiptAnchor): anchor is Anchor {
  return Object.hasOwn(ANCHOR_TYPES, anchor.type);
}

const upToCheckpoint = {
  format: z.literal(RECEIPT_FORMAT),
  entry,
  inclusion,
  checkpoint,
  expectedBy: z.exactOptional(timeSchema),
};

/** A receipt before its round has closed: it ends after the checkpoint. */
export const pendingReceiptSchema = z.strictObject(upToCheckpoint);

/** How a contract can be asked about the round: the path from its root to a later one that the contract has stored. */
const storedPath = z.strictObject({
  chain: evmChain,
  round: countSchema(2),
  path: z
    .string()
    .check(
      z.maxLength(524_288, 'more than 524,288 characters'),
      z.regex(/^0x(?:[0-9a-f]{2})+$/, 'not lower-case hex of whole bytes after 0x'),
    ),
});

/** A receipt from the close of its round on. */
export const roundReceiptSchema = z.strictObject({
  ...upToCheckpoint,
  round,
  storedPath: z.exactOptional(storedPath),
  anchors: z.array(receiptAnchorSchema).check(z.maxLength(MAX_ANCHORS, `more than ${MAX_ANCHORS} anchors`)),
});

/** The stage of a receipt from a leaf of a round to its root. */
export const roundSchema = round;

/** Beacons of a round as receipts have them. */
export const beaconsSchema = round.def.shape.link.def.shape.beacons;

/** All of `antequem-receipt/v1`; for the published JSON Schema. */
export const receiptSchema = z.union([pendingReceiptSchema, roundReceiptSchema]);

export type PendingReceipt = z.infer<typeof pendingReceiptSchema>;
export type RoundReceipt = Omit<z.infer<typeof roundReceiptSchema>, 'anchors'> & { anchors: ReceiptAnchor[] };
/** Hashes, times and notes as the JSON has them; `'round' in receipt` tells the two apart. */
export type Receipt = PendingReceipt | RoundReceipt;
export type ReceiptBeacon = z.infer<typeof beacon>;
export type Anchor = AnchorOf[keyof AnchorOf];
/** An anchor of a type that this version does not know, as it was parsed. */
export type UnknownAnchor = Named<z.infer<typeof unknownAnchorForm>>;
export type ReceiptAnchor = Anchor | UnknownAnchor;
export type EvmAnchor = Named<z.infer<typeof submittedEvmAnchor>> | IncludedEvmAnchor;
export type IncludedEvmAnchor = Named<z.infer<typeof includedEvmAnchor>>;
export type EvmProof = Named<z.infer<typeof evmProofSchema>>;
export type OpenTimestampsAnchor = Named<z.infer<typeof pendingOtsAnchor>> | Named<z.infer<typeof confirmedOtsAnchor>>;

export type Rfc3161Anchor = Named<z.infer<typeof rfc3161Anchor>>;

/** The members that a type names; those it does not know are there, and nothing reads them. */
type Named<T> = { [K in keyof T as string extends K ? never : K]: T[K] };
/** The form of an anchor by its type. */
export interface AnchorOf {
  readonly evm: EvmAnchor;
  readonly opentimestamps: OpenTimestampsAnchor;
  readonly rfc3161: Rfc3161Anchor;
}
