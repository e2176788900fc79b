// The verifier of tokens by themselves (RFC 3161), of any authority; and whether the authority of a service logged its token.

import { sha256 } from '#sha256';
import { newWorkBudget } from '../core/anchor-verifier.ts';
import { remembering } from '../core/bitcoin-source.ts';
import { equalBytes, fromHex, toHex } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { verifyInclusion } from '../core/proof.ts';
import { decodeHashes } from '../core/receipt.ts';
import { parseTime } from '../core/time.ts';
import { type Claim, claimOf, type Verdict, type VerdictCode, verdictOf } from '../core/verdict.ts';
import { sortSources } from '../evm/verifier.ts';
import { type LoggedAnswer, parseLoggedAnswer } from '../tsa/logged-answer.ts';
import type { TokenFile } from '../tsa/own-token.ts';
import type { TokenOutcome } from '../tsa/token-check.ts';
import { tokenDigest, tokenLeafHash } from '../tsa/token-leaf.ts';
import { tokenFinding } from '../tsa/verifier.ts';
import { verifyAnchors } from './anchors.ts';
import { checkContent, type GivenContent } from './content.ts';
import { linkHolds } from './round.ts';
import type { Trust } from './trust.ts';

/** What is to be verified; a given digest is of the hash that the token names. */
export interface VerifyTokenInput extends GivenContent {
  /** A token, or a response with one: DER. */
  readonly token: Uint8Array;
  /** What the service of the authority says of the token. */
  readonly logged?: TokenAnswer | undefined;
}

export interface TokenAnswer {
  /** The answer of `GET /v1/tsa/{digest}`. */
  readonly text: string;
  /**
   * Whether the verifier itself asked the service, now. Where an answer was saved, that the token was logged is proven by it;
   * that it was not, is not: anybody can write that.
   */
  readonly asked: boolean;
}

/**
 * The verdict on a token. By a CA that is trusted the content existed before its time; if the token was logged, also before
 * the anchors of its round. A token that the authority's service does not have is refuted.
 * @throws FormatError `token-refused` where it is a response without a token; `certificate-invalid`, `token-answer-invalid`
 */
export async function verifyToken({ token, logged, ...given }: VerifyTokenInput, trust: Trust): Promise<Verdict> {
  const { checkTokenFile, imprintDigest, readTokenFile } = await import('../tsa/own-token.ts');
  let file: TokenFile;
  try {
    file = readTokenFile(token);
  } catch (error) {
    if (!(error instanceof FormatError) || error.code === 'token-refused') throw error;
    const says = `The token cannot be read: ${error.message}.`.slice(0, 2_000);
    return verdictOf([claimOf('token-broken', { claim: 'anchor', grounds: 'bytes', says })], [], null);
  }
  const { imprint } = file;
  if (imprint === null) {
    const says =
      'The token is about a digest by a hash other than SHA-256, SHA-384 and SHA-512, so it was not checked.';
    return verdictOf([claimOf('token-unsupported', { claim: 'anchor', grounds: 'none', says })], [], null);
  }
  // A digest by another hash says nothing of this one.
  const { digest } = given;
  const comparable = digest?.length === imprint.digest.length ? { digest } : {};
  const content = checkContent(
    { payload: given.payload, ...comparable },
    {
      hash: imprint.hash,
      digestOf: (payload) => imprintDigest(imprint, payload),
      matches: (digest) => equalBytes(digest, imprint.digest),
      own: 'the one in the token',
      proof: 'the token',
    },
  );
  const { authorities = [] } = trust;
  const outcome = await checkTokenFile(file, imprint, authorities);
  const own = tokenFinding(outcome, { whose: 'The token', signed: 'the digest', asked: authorities.length > 0 });
  const round = logged === undefined ? [] : await checkLogged(file, outcome, logged, trust);
  const findings = [own, ...round];
  const moments = findings.flatMap(({ moment }) => (moment === null ? [] : [moment]));
  return verdictOf([content, ...findings.map(({ claim }) => claim)], moments, null);
}

type Findings = ReturnType<typeof verifyAnchors>;

const alone = (code: VerdictCode, grounds: Claim['grounds'], says: string): Awaited<Findings> => [
  { claim: claimOf(code, { claim: 'round', grounds, says }), moment: null },
];

async function checkLogged(
  { der, token }: TokenFile,
  outcome: TokenOutcome,
  { text, asked }: TokenAnswer,
  trust: Trust,
): Findings {
  const answer = parseLoggedAnswer(text);
  const digest = tokenDigest(der);
  if (answer.digest !== toHex(digest)) {
    const says = `What the service says is about the token ${answer.digest}, not about this one, ${toHex(digest)}.`;
    return alone('token-log-unknown', 'none', says);
  }
  if (answer.round !== null) return placeOf(digest, answer.round, answer, trust);
  const soon = 'The token will be in the next round of the service: no round has closed since.';
  const waiting = alone('token-log-waiting', 'none', soon);
  if (answer.state === 'waiting') return waiting;
  const { signer } = outcome.kind === 'trusted' || outcome.kind === 'untrusted' ? outcome : { signer: null };
  if (signer === null || toHex(sha256(signer.raw)) !== answer.certificate) {
    const says =
      'The service does not have the token, and does not sign with its certificate now: ask the service of the authority ' +
      'that signed it.';
    return alone('token-log-unknown', 'none', says);
  }
  const { newestRound } = answer;
  if (newestRound === null || parseTime(newestRound.closedAt) <= token.info.time.ms) return waiting;
  if (!asked) {
    const says =
      'By a saved answer the service did not log the token, which such an answer cannot prove: ask the service.';
    return alone('token-log-unknown', 'none', says);
  }
  const says =
    `The service whose authority signed the token has not logged it, and has closed a round at ${newestRound.closedAt}, after ` +
    'the time of the token. It logs every token before it gives it: the authority signed this one outside of its log.';
  return alone('token-not-logged', 'service', says);
}

async function placeOf(
  digest: Uint8Array,
  round: NonNullable<LoggedAnswer['round']>,
  { anchors }: LoggedAnswer,
  trust: Trust,
): Findings {
  const { index, size, path, root, number, closedAt } = round;
  if (!verifyInclusion(tokenLeafHash(digest), index, size, decodeHashes(path), fromHex(root)) || !linkHolds(round)) {
    const says = `The path that the service gives does not lead from the token to the root of round ${number}.`;
    return alone('token-path-broken', 'bytes', says);
  }
  const says = `The token is a leaf of round ${number}, which by the operator's clock closed at ${closedAt}.`;
  const { blockHashes = [], authorities = [] } = trust;
  const findings = await verifyAnchors([...anchors], root, {
    evm: await sortSources(trust.evm ?? []),
    bitcoin: (trust.bitcoin ?? []).map(remembering),
    sameInstance: new Set<object>(),
    blockHashes,
    authorities,
    work: newWorkBudget(),
  });
  return [...alone('token-logged', 'bytes', says), ...findings];
}
