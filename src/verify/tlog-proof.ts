// The verifier of C2SP tlog-proofs, of our logs and of others: where an entry stands, not when.

import { entryLeafHash, type OpenEntry } from '../core/entry.ts';
import { FormatError } from '../core/errors.ts';
import { hashLeaf } from '../core/merkle.ts';
import { verifyInclusion } from '../core/proof.ts';
import { isTlogProof, type ParsedTlogProof, parseTlogProof, tlogProofEntry } from '../core/tlog-proof.ts';
import { type Claim, claimOf, type Verdict, verdictOf } from '../core/verdict.ts';
import { checkContent, type GivenContent } from './content.ts';
import { checkOwnContent, checkPrevious, operatorsTime } from './own-entry.ts';
import { checkSignature, keysFor } from './signature.ts';
import type { Trust } from './trust.ts';
import { checkWitnesses } from './witnesses.ts';

/** What is to be verified. */
export interface VerifyTlogProofInput extends GivenContent {
  /** The text of a tlog-proof; a given digest is the SHA-256 of the entry, 32 bytes. */
  readonly proof: string;
}

/**
 * The verdict on a tlog-proof. It never is `proven`: the format has no room for a time. Only the log's key and the policy
 * count. In a proof of our logs the extra data are the entry; in others the content is the leaf. A text that begins as
 * tlog-proofs do and breaks the format is refuted.
 * @throws FormatError `tlog-proof-invalid` where the input does not say it is a tlog-proof at all; `verifier-key`
 */
export function verifyTlogProof(input: VerifyTlogProofInput, trust: Trust): Verdict {
  let proof: ParsedTlogProof;
  try {
    proof = parseTlogProof(input.proof);
  } catch (error) {
    if (!(error instanceof FormatError) || !isTlogProof(input.proof)) throw error;
    const says = `The proof breaks its format, so it shows nothing: ${error.message}.`.slice(0, 2_000);
    return verdictOf([claimOf('tlog-proof-invalid', { claim: 'position', grounds: 'bytes', says })], [], null);
  }
  const { note, head } = proof;
  const own = tlogProofEntry(proof);
  const checkpoint = checkSignature(note, head.origin, keysFor(trust, head.origin), 'the proof');
  const witnesses = trust.policy === undefined ? null : checkWitnesses(note, trust.policy);
  const signed = checkpoint.status === 'verified';
  const [content, position] =
    own === null
      ? leafClaims(input, proof, signed)
      : [checkOwnContent(input, own, 'the proof'), ownPosition(proof, own, signed)];
  const claims = [
    content,
    position,
    checkpoint,
    ...(witnesses === null ? [] : [witnesses]),
    ...(own === null ? [] : [operatorsTime(own.entry)]),
  ];
  return verdictOf(claims, [], null);
}

function ownPosition({ index, path, head }: ParsedTlogProof, { entry }: OpenEntry, signed: boolean): Claim {
  if (!verifyInclusion(entryLeafHash(entry), index, head.size, path, head.root)) {
    const says = `The proof does not lead from the entry to the checkpoint: it does not stand at index ${index}.`;
    return claimOf('position-broken', { claim: 'position', grounds: 'bytes', says });
  }
  const previous = checkPrevious(entry, index, path, head.origin);
  if (previous !== null) return previous;
  return stands('The entry', index, head, signed);
}

/**
 * The content and its place in a log that is not one of ours: the leaf hash is SHA-256(0x00 ‖ content) (RFC 6962 section
 * 2.1), unless the application says otherwise in its extra data, which this version cannot know.
 */
function leafClaims({ payload, digest }: GivenContent, proof: ParsedTlogProof, signed: boolean): [Claim, Claim] {
  const { index, path, head, extra } = proof;
  const unknown = (says: string): Claim => claimOf('leaf-unknown', { claim: 'position', grounds: 'none', says });
  if (payload === undefined) {
    const says =
      digest === undefined
        ? 'The content was not given, so it was not checked what the proof is about.'
        : 'The digest of the content is not enough for this proof: give the content itself.';
    return [
      claimOf('content-not-given', { claim: 'content', grounds: 'none', says }),
      unknown(`The place of an entry of the log ${head.origin} can be checked only with the content.`),
    ];
  }
  const content = checkContent(
    { payload },
    {
      hash: 'leaf',
      digestOf: hashLeaf,
      matches: (leaf) => verifyInclusion(leaf, index, head.size, path, head.root),
      own: `the one at index ${index} of the log ${head.origin}`,
      proof: 'the proof',
    },
  );
  if (content.status === 'verified') return [content, stands('The content', index, head, signed)];
  if (extra === null || content.code === 'content-re-ended') {
    return [content, unknown('The proof does not lead from this content to the checkpoint.')];
  }
  const says =
    `The proof carries ${extra.length} bytes of data of another application, which decides what its log ${head.origin} ` +
    'hashes: ask for a verifier of that application.';
  return [
    claimOf('content-not-given', {
      claim: 'content',
      grounds: 'none',
      says: 'The given content is not itself the leaf of the log, so it was not checked what the proof is about.',
    }),
    unknown(says),
  ];
}

function stands(what: string, index: number, { origin, size }: ParsedTlogProof['head'], signed: boolean): Claim {
  const says = `${what} stands at index ${index} of the log ${origin}, in its tree of ${size === 1 ? '1 entry' : `${size} entries`}`;
  return signed
    ? claimOf('position-by-key', { claim: 'position', grounds: 'key', says: `${says}, signed with the given key.` })
    : claimOf('position-by-bytes', {
        claim: 'position',
        grounds: 'bytes',
        says: `${says}; no key confirms that this tree is the log's own.`,
      });
}
