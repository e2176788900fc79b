// The verifier of .ots files, of whatever origin.

import { remembering } from '../core/bitcoin-source.ts';
import { equalBytes } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { type Claim, claimOf, type Verdict, verdictOf } from '../core/verdict.ts';
import { isOtsFile, type OtsFile, parseOtsFile } from '../ots/file.ts';
import { contentDigest } from '../ots/operation.ts';
import { checkAttestations, unreadableTimestamp } from '../ots/verifier.ts';
import type { Trust } from './trust.ts';

/** What is to be verified. */
export interface VerifyTimestampInput {
  /** The bytes of an .ots file. */
  readonly ots: Uint8Array;
  /** The content the file should be about. */
  readonly payload?: Uint8Array | undefined;
  /** Its digest by the hash that the file names, for those who do not hold the content. */
  readonly digest?: Uint8Array | undefined;
}

/** Claims that a verdict has room for beside the one about the content. */
const MOST = 60;

/**
 * The verdict on an .ots file: whether it is about the content, and one claim for each attestation. Of what is trusted
 * the sources for Bitcoin count alone. A file that begins as .ots files do and breaks their format is refuted.
 * @throws OtsError `ots-magic` where the input does not say it is an .ots file at all
 */
export async function verifyTimestamp(input: VerifyTimestampInput, trust: Trust): Promise<Verdict> {
  let file: OtsFile;
  try {
    file = parseOtsFile(input.ots);
  } catch (error) {
    if (!(error instanceof FormatError) || !isOtsFile(input.ots)) throw error;
    return verdictOf([unreadableTimestamp(error, 'The .ots file').claim], [], null);
  }
  const content = checkContent(file, input);
  const context = {
    bitcoin: (trust.bitcoin ?? []).map(remembering),
    sameInstance: new Set<object>(),
    blockHashes: trust.blockHashes ?? [],
    carried: [],
  };
  const findings = await checkAttestations(file.timestamp, context, MOST);
  const moments = findings.flatMap(({ moment }) => (moment === null ? [] : [moment]));
  return verdictOf([content, ...findings.map(({ claim }) => claim)], moments, null);
}

function checkContent({ hash, timestamp }: OtsFile, { payload, digest }: VerifyTimestampInput): Claim {
  if (payload === undefined && digest === undefined) {
    return claimOf('content-not-given', {
      claim: 'content',
      grounds: 'none',
      says: 'Neither the content nor its digest was given, so this verdict speaks of the digest in the file alone.',
    });
  }
  const what = payload === undefined ? 'The given digest' : `The ${hash} digest of the given content`;
  const given = [
    ...(payload === undefined ? [] : [contentDigest(hash, payload)]),
    ...(digest === undefined ? [] : [digest]),
  ];
  return given.every((each) => equalBytes(each, timestamp.message))
    ? claimOf('content-matches', {
        claim: 'content',
        grounds: 'bytes',
        says: `${what} is the one that the timestamp is of.`,
      })
    : claimOf('content-differs', {
        claim: 'content',
        grounds: 'bytes',
        says: `${what} is not the one that the timestamp is of: the file is about something else.`,
      });
}
