// The path from an entry to the chains, for the picture: a verdict's claims, each with the bytes it is about.

import { parseHeader } from '../../core/bitcoin-header.ts';
import { fromBase64, fromHex, toHex } from '../../core/bytes.ts';
import type { CoseReceipt } from '../../core/cose-receipt.ts';
import {
  type Anchor,
  isKnownAnchor,
  knownAnchors,
  type Receipt,
  type ReceiptAnchor,
  receiptLeafHash,
} from '../../core/receipt.ts';
import type { Rfc3161Anchor } from '../../core/receipt-schema.ts';
import type { ParsedTlogProof } from '../../core/tlog-proof.ts';
import type { Claim, Verdict } from '../../core/verdict.ts';
import { describeTimestamp } from '../../ots/description.ts';
import { parseTimestamp } from '../../ots/serialization.ts';
import { chainName } from '../parts/chains.ts';
import { formatCount, formatMoment } from '../parts/units.ts';
import { visible } from '../parts/visible.ts';
import { bytes, type Fact, inclusionFacts, plain, text } from './facts.ts';
import type { DroppedProof } from './proof-file.ts';
import { OPERATORS_CLOCK } from './sentences.ts';
import { best, type PathStage, refutedBy, worst } from './stage.ts';
import { timestampSteps } from './timestamp-steps.ts';

/** Characters shown of an anchor of an unknown type. */
const SHOWN_CHARACTERS = 4_000;

/** A time in the receipt that is settled only by a trusted source. */
function stampedBy(time: string, status: Claim['status']): string {
  return status === 'verified' ? formatMoment(time) : `${formatMoment(time)}, by the receipt`;
}

/** The steps of a verification, in order from the entry up. */
export function stepsOf(proof: DroppedProof, verdict: Verdict, digest: Uint8Array | null): PathStage[] {
  const given = digest === null ? [] : [bytes('Digest given', toHex(digest))];
  if (proof.kind === 'token') return tokenFileSteps(verdict, given);
  if (proof.read === null) return brokenSteps(BROKEN[proof.kind], verdict);
  switch (proof.kind) {
    case 'receipt':
      return receiptSteps(proof.read, verdict, given);
    case 'ots':
      return timestampSteps(proof.read, verdict, given);
    case 'tlog-proof':
      return tlogProofSteps(proof.read, verdict, given);
    case 'cose':
      return coseSteps(proof.read, verdict, given);
  }
}

const BROKEN = {
  receipt: 'The receipt',
  ots: 'The .ots file',
  'tlog-proof': 'The tlog-proof',
  cose: 'The COSE receipt',
} as const;

function brokenSteps(title: string, { claims }: Verdict): PathStage[] {
  return [{ id: 'proof', title, status: worst(claims), gist: 'cannot be read', claims, facts: [] }];
}

/** Of a token by itself. */
function tokenFileSteps(verdict: Verdict, facts: readonly Fact[]): PathStage[] {
  const [content, anchor] = [claimsAbout(verdict, 'content'), claimsAbout(verdict, 'anchor')];
  return [
    {
      id: 'content',
      title: 'The file',
      status: worst(content),
      gist: 'compared with the token',
      claims: content,
      facts,
    },
    {
      id: 'token-0',
      place: 'anchor',
      title: 'Timestamp token',
      status: worst(anchor),
      gist: 'by a timestamp authority (RFC 3161)',
      claims: anchor,
      facts: [],
    },
  ];
}

function receiptSteps(receipt: Receipt, verdict: Verdict, given: readonly Fact[]): PathStage[] {
  const about = (...names: Claim['claim'][]): Claim[] => verdict.claims.filter(({ claim }) => names.includes(claim));
  const { entry, inclusion, checkpoint } = receipt;
  const [position, receivedAt] = [about('position'), about('received-at')];
  const steps: PathStage[] = [
    {
      id: 'content',
      title: 'The file',
      status: worst(about('content')),
      gist: 'compared with the receipt',
      claims: about('content'),
      facts: [bytes('Digest (SHA-256)', entry.digest), ...given],
    },
    {
      id: 'entry',
      title: `Entry ${formatCount(entry.index)} of ${logName(entry.log)}`,
      // `receivedAt` is never verified, which alone must not make the entry look doubtful.
      status: refutedBy([...position, ...receivedAt]) ?? worst(position),
      gist: `received ${formatMoment(entry.receivedAt)} ${OPERATORS_CLOCK}`,
      claims: [...position, ...receivedAt],
      facts: [
        plain('Log', entry.log),
        plain('Received at', `${entry.receivedAt} ${OPERATORS_CLOCK}`),
        bytes('Nonce', entry.nonce === '' ? 'none' : entry.nonce),
        bytes('Hash of the entry before', entry.previous),
        bytes('Leaf hash', toHex(receiptLeafHash(receipt))),
        ...inclusionFacts(entry.index, inclusion.treeSize, inclusion.path),
      ],
      ...(entry.index < inclusion.treeSize ? { leaf: { index: entry.index, size: inclusion.treeSize } } : {}),
    },
    ownerStep(text('Signed note', checkpoint.trimEnd()), entry.log, about('checkpoint')),
    roundStep(receipt, about('round'), about('not-before')),
  ];
  return [...steps, ...chainSteps(receipt, about('anchor'))];
}

/** Whose log it is does not bear on the time: it stands beside the path. */
function ownerStep(fact: Fact, log: string, claims: readonly Claim[]): PathStage {
  return {
    id: 'owner',
    title: 'Whose log it is',
    status: worst(claims),
    gist: `signed as ${log}`,
    claims,
    facts: [fact],
    place: 'beside',
  };
}

/** The name of the log in its origin. */
function logName(origin: string): string {
  return origin.slice(origin.lastIndexOf('/') + 1);
}

function roundStep(receipt: Receipt, own: readonly Claim[], notBefore: readonly Claim[]): PathStage {
  const claims = [...own, ...notBefore];
  const common = { id: 'round', title: 'Round', status: refutedBy(claims) ?? worst(own), claims };
  if (!('round' in receipt)) return { ...common, gist: 'not closed yet', facts: [] };
  const { round } = receipt;
  return {
    ...common,
    title: `Round ${formatCount(round.number)}`,
    gist: `closed ${formatMoment(round.closedAt)} ${OPERATORS_CLOCK}`,
    facts: [
      plain('Closed at', `${round.closedAt} ${OPERATORS_CLOCK}`),
      bytes('Root', round.root),
      bytes('Root of the round before', round.link.previousRoot),
      ...round.link.beacons.map(({ chain, height, hash }) => bytes('Formed after', `${chain} block ${height} ${hash}`)),
      ...inclusionFacts(round.index, round.size, round.path),
    ],
    ...(round.index < round.size ? { leaf: { index: round.index, size: round.size } } : {}),
  };
}

/** A step for each EVM anchor, for each timestamp token, for all of OpenTimestamps, and for each anchor of an unknown type. */
function chainSteps(receipt: Receipt, claims: readonly Claim[]): PathStage[] {
  const anchors = knownAnchors(receipt);
  const unknown = 'round' in receipt ? receipt.anchors.filter((anchor) => !isKnownAnchor(anchor)) : [];
  const evm = anchors.filter((anchor) => anchor.type === 'evm');
  const ots = anchors.filter((anchor) => anchor.type === 'opentimestamps');
  const evmClaims = claims.filter(({ chain }) => chain?.startsWith('eip155:'));
  const unknownClaims = claims.filter(({ code }) => code === 'anchor-unknown');
  const tokenClaims = claims.filter(({ code }) => code.startsWith('token-') || code === 'authority-not-given');
  const otherClaims = claims.filter((claim) => ![...evmClaims, ...unknownClaims, ...tokenClaims].includes(claim));
  const steps = evm.map((anchor, i): PathStage => {
    const own = evmClaims.slice(i, i + 1);
    const block = anchor.status === 'submitted' ? null : anchor.block;
    return {
      id: `chain-${i}`,
      place: 'anchor',
      chain: anchor.chain,
      title: block === null ? chainName(anchor.chain) : `${chainName(anchor.chain)} block ${formatCount(block.number)}`,
      status: worst(own),
      gist: block === null ? 'sent, not in a block yet' : `stamped ${stampedBy(block.time, worst(own))}`,
      claims: own,
      facts: [
        plain('Chain', anchor.chain),
        bytes('Contract', anchor.contract),
        bytes('Transaction', anchor.transaction),
        ...(block === null
          ? []
          : [
              plain('Block', formatCount(block.number)),
              plain('Time of the block', block.time),
              bytes('Hash of the block', block.hash),
            ]),
        ...('proof' in anchor && anchor.proof !== undefined ? [bytes('Header (RLP)', anchor.proof.header)] : []),
      ],
    };
  });
  const tokens = anchors.filter((anchor) => anchor.type === 'rfc3161');
  steps.push(...tokens.map((anchor, i) => tokenStep(anchor, i, tokenClaims)));
  const root = 'round' in receipt ? receipt.round.root : '';
  const timestamp = ots.length === 0 && otherClaims.length === 0 ? [] : [timestampStep(ots, otherClaims, root)];
  return [...steps, ...timestamp, ...unknown.map((anchor, i) => unknownStep(anchor, i, unknownClaims))];
}

function tokenStep(anchor: Rfc3161Anchor, i: number, tokenClaims: readonly Claim[]): PathStage {
  const claims = tokenClaims.slice(i, i + 1);
  return {
    id: `token-${i}`,
    place: 'anchor',
    title: visible(anchor.authority, 80),
    status: worst(claims),
    gist: `signed ${stampedBy(anchor.time, worst(claims))}`,
    claims,
    facts: [
      plain('Authority', visible(anchor.authority, 1_024)),
      plain('Time', anchor.time),
      plain('Exact to', anchor.accuracy === null ? 'not said' : `${formatCount(anchor.accuracy)} ms`),
      text('Token (RFC 3161)', anchor.token.slice(0, SHOWN_CHARACTERS)),
    ],
  };
}

function unknownStep(anchor: ReceiptAnchor, i: number, unknownClaims: readonly Claim[]): PathStage {
  const claims = unknownClaims.slice(i, i + 1);
  return {
    id: `chain-unknown-${i}`,
    place: 'anchor',
    title: 'Unknown anchor',
    status: worst(claims),
    gist: 'of a type unknown to this page',
    claims,
    facts: [plain('Type', anchor.type), text('Content', JSON.stringify(anchor, null, 2).slice(0, SHOWN_CHARACTERS))],
  };
}

function timestampStep(anchors: readonly Anchor[], claims: readonly Claim[], root: string): PathStage {
  if (anchors.length === 0) {
    return {
      id: 'chain',
      place: 'anchor',
      title: 'No chain yet',
      status: worst(claims),
      gist: 'no block proves its time yet',
      claims,
      facts: [],
    };
  }
  const blocks = anchors.flatMap((anchor) => (anchor.type === 'opentimestamps' ? (anchor.blocks ?? []) : []));
  const [first] = blocks;
  return {
    id: 'chain-ots',
    place: 'anchor',
    ...(first === undefined ? {} : { chain: first.chain }),
    title: first === undefined ? 'OpenTimestamps' : `${chainName(first.chain)} block ${formatCount(first.height)}`,
    status: best(claims),
    gist:
      first === undefined
        ? 'not in a Bitcoin block yet'
        : `stamped ${stampedBy(first.time, best(claims))}; by OpenTimestamps`,
    claims,
    facts: [
      ...blocks.flatMap(({ chain, height, header }) => [
        plain('Block', `${formatCount(height)} of ${chain}`),
        bytes('Hash of the block', parseHeader(fromHex(header)).hash),
        bytes('Header', header),
      ]),
      ...anchors.flatMap((anchor) =>
        anchor.type === 'opentimestamps' ? [text('Operations', operationsText(anchor.timestamp, root))] : [],
      ),
    ],
  };
}

function operationsText(timestamp: string, root: string): string {
  try {
    return describeTimestamp(parseTimestamp(fromBase64(timestamp), fromHex(root)));
  } catch {
    return timestamp;
  }
}

function tlogProofSteps(proof: ParsedTlogProof, verdict: Verdict, given: readonly Fact[]): PathStage[] {
  const { index, head, path, extra, checkpoint } = proof;
  const facts = [...given, ...(extra === null ? [] : [bytes('Data in the proof', toHex(extra))])];
  const owner = ownerStep(text('Signed note', checkpoint.trimEnd()), head.origin, claimsAbout(verdict, 'checkpoint'));
  return placeSteps({ log: head.origin, index, size: head.size, path }, verdict, facts, owner);
}

function coseSteps({ proof, log, keyId, entry }: CoseReceipt, verdict: Verdict, given: readonly Fact[]): PathStage[] {
  if (proof.kind === 'consistency') return brokenSteps('The COSE receipt', verdict);
  const { index, treeSize: size, path } = proof;
  const facts = [...given, ...(entry === null ? [] : [bytes('Entry and nonce', toHex(entry))])];
  const owner = ownerStep(bytes('Thumbprint of the key', toHex(keyId)), log, claimsAbout(verdict, 'checkpoint'));
  return placeSteps({ log, index, size, path }, verdict, facts, owner);
}

function claimsAbout({ claims }: Verdict, ...names: Claim['claim'][]): Claim[] {
  return claims.filter(({ claim }) => names.includes(claim));
}

interface Place {
  readonly log: string;
  readonly index: number;
  readonly size: number;
  readonly path: readonly Uint8Array[];
}

/** Of a proof that ends at the root of the log. */
function placeSteps(
  { log, index, size, path }: Place,
  verdict: Verdict,
  facts: readonly Fact[],
  owner: PathStage,
): PathStage[] {
  const about = (...names: Claim['claim'][]): Claim[] => claimsAbout(verdict, ...names);
  const [position, receivedAt] = [about('position'), about('received-at')];
  return [
    {
      id: 'content',
      title: 'The file',
      status: worst(about('content')),
      gist: 'compared with the proof',
      claims: about('content'),
      facts,
    },
    {
      id: 'entry',
      title: `Entry ${formatCount(index)} of ${logName(log)}`,
      status: refutedBy([...position, ...receivedAt]) ?? worst(position),
      gist: `of ${formatCount(size)} entries`,
      claims: [...position, ...receivedAt],
      facts: inclusionFacts(index, size, path.map(toHex)),
      ...(index < size ? { leaf: { index, size } } : {}),
    },
    owner,
    {
      id: 'chain',
      place: 'anchor',
      title: 'No chain',
      status: 'unverified',
      gist: "this proves an entry's place in the log but not its time: the receipt in JSON proves both",
      claims: [],
      facts: [],
    },
  ];
}
