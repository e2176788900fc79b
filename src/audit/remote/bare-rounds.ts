// Checks the rounds of a public archive that shows no leaves: each names the root of the one before.

import { equalBytes, fromHex } from '../../core/bytes.ts';
import { hashLeaf } from '../../core/merkle.ts';
import { verifyInclusion } from '../../core/proof.ts';
import { decodeHashes } from '../../core/receipt.ts';
import { firstPreviousRoot } from '../../core/round.ts';
import { parseTime } from '../../core/time.ts';
import type { Findings } from '../checks/findings.ts';
import { linkOf, type RoundAt } from '../checks/rounds.ts';
import { type BareRound, readBareRound } from './archive.ts';
import { type AuditSource, readAhead } from './source.ts';

/** Rounds that are read before they are needed. */
const DEPTH = 8;

/**
 * @param newest the newest round, as the archive says
 * @throws AntequemError what the source fails with
 */
export async function checkBareRounds(
  source: AuditSource,
  serviceOrigin: string,
  newest: number,
  findings: Findings,
): Promise<void> {
  // Null behind a round that could not be read.
  let last: RoundAt | null = { number: 0, root: firstPreviousRoot(serviceOrigin), closedAt: 0 };
  const rounds = readAhead(DEPTH, (n) => (n < newest ? readBareRound(source, n + 1) : null));
  for (let number = 1; number <= newest; number++) {
    const round = await rounds.next();
    if (round === null || typeof round === 'string') {
      const code = round === 'broken' ? 'round-broken' : 'round-missing';
      findings.add(code, { round: number }, `round ${number} is ${round ?? 'missing'} in the archive`);
      last = null;
    } else last = checkBareRound(round, last, findings);
  }
}

function checkBareRound(round: BareRound, last: RoundAt | null, findings: Findings): RoundAt {
  const { number, size, beacons } = round;
  const [root, previousRoot] = [fromHex(round.root), fromHex(round.previousRoot)];
  const closedAt = parseTime(round.closedAt);
  const broken = (says: string): void => findings.add('link-broken', { round: number }, says);
  const link = linkOf({ number, closedAt, root, previousRoot, size, beacons });
  if (link === null || !verifyInclusion(hashLeaf(link), 0, size, decodeHashes(round.link), root)) {
    broken(`the link of round ${number} does not lead to its root`);
  }
  if (last !== null && !equalBytes(previousRoot, last.root)) {
    broken(`round ${number} does not name the root of ${number === 1 ? 'this service' : `round ${number - 1}`}`);
  }
  if (last !== null && closedAt < last.closedAt) broken(`round ${number} was closed before the round before it`);
  return { number, root, closedAt };
}
