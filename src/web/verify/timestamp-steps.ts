// The path of an .ots file.

import { toHex } from '../../core/bytes.ts';
import type { Verdict } from '../../core/verdict.ts';
import { describeTimestamp } from '../../ots/description.ts';
import type { OtsFile } from '../../ots/file.ts';
import { chainName } from '../parts/chains.ts';
import { formatMoment } from '../parts/units.ts';
import { bytes, type Fact, text } from './facts.ts';
import { type PathStage, worst } from './stage.ts';

export function timestampSteps(ots: OtsFile, verdict: Verdict, given: readonly Fact[]): PathStage[] {
  const content = verdict.claims.filter(({ claim }) => claim === 'content');
  const anchors = verdict.claims.filter(({ claim }) => claim === 'anchor');
  return [
    {
      id: 'content',
      title: 'The file',
      status: worst(content),
      gist: `compared by its ${ots.hash} digest`,
      claims: content,
      facts: [bytes(`Digest (${ots.hash})`, toHex(ots.timestamp.message)), ...given],
    },
    {
      id: 'operations',
      title: 'Operations',
      status: 'verified',
      gist: 'from the digest to its attestations',
      claims: [],
      facts: [text('Path', describeTimestamp(ots.timestamp))],
    },
    ...anchors.map(
      (claim, i): PathStage => ({
        id: `chain-${i}`,
        place: 'anchor',
        ...(claim.chain === undefined ? {} : { chain: claim.chain }),
        title: claim.chain === undefined ? 'Attestation' : chainName(claim.chain),
        status: claim.status,
        gist: claim.time === undefined ? '' : formatMoment(claim.time),
        claims: [claim],
        facts: [],
      }),
    ),
  ];
}
