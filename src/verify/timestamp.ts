// The verifier of .ots files, of any origin.

import { remembering } from '../core/bitcoin-source.ts';
import { equalBytes } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { type Verdict, verdictOf } from '../core/verdict.ts';
import { isOtsFile, type OtsFile, parseOtsFile } from '../ots/file.ts';
import { contentDigest } from '../ots/operation.ts';
import { checkAttestations, unreadableTimestamp } from '../ots/verifier.ts';
import { checkContent, type GivenContent } from './content.ts';
import type { Trust } from './trust.ts';

/** What is to be verified. */
export interface VerifyTimestampInput extends GivenContent {
  /** The bytes of an .ots file; a given digest is of the hash that the file names. */
  readonly ots: Uint8Array;
}

/** Claims about attestations that a verdict has room for. */
const MOST_CLAIMS = 60;

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
  const { hash, timestamp } = file;
  const content = checkContent(input, {
    hash,
    digestOf: (payload) => contentDigest(hash, payload),
    matches: (digest) => equalBytes(digest, timestamp.message),
    own: 'the one in the .ots file',
    proof: 'the .ots file',
  });
  const context = {
    bitcoin: (trust.bitcoin ?? []).map(remembering),
    sameInstance: new Set<object>(),
    blockHashes: trust.blockHashes ?? [],
    carried: [],
  };
  const findings = await checkAttestations(timestamp, context, MOST_CLAIMS);
  const moments = findings.flatMap(({ moment }) => (moment === null ? [] : [moment]));
  return verdictOf([content, ...findings.map(({ claim }) => claim)], moments, null);
}
