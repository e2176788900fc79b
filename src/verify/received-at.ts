import { type Moment, upperBound, upperTime } from '../core/moment.ts';
import type { Receipt } from '../core/receipt.ts';
import { MAX_CLOCK_SKEW_MS, parseTime } from '../core/time.ts';
import { type Claim, claimOf, type VerdictCode } from '../core/verdict.ts';

/**
 * A block can be stamped this long before its transactions were sent: proof-of-stake Ethereum stamps it with the start of
 * its slot of 12 s, in whole seconds, and a builder takes transactions until well into the slot.
 */
const SLOT_MS = 15_000;

export interface Bounds {
  /** When the round closed; null while that is not shown. */
  readonly closedAt: string | null;
  /** What the verified anchors prove, and what that rests on. */
  readonly anchored: readonly { readonly moment: Moment; readonly grounds: Claim['grounds'] }[];
  /** Milliseconds since the Unix epoch, by the verifier's clock. */
  readonly now: number | undefined;
}

/** The time of receipt is the operator's word: it can be refuted, never verified. */
export function checkReceivedAt(receipt: Receipt, bounds: Bounds): Claim {
  const { receivedAt } = receipt.entry;
  const ms = parseTime(receivedAt);
  const say = (code: VerdictCode, grounds: Claim['grounds'], says: string): Claim =>
    claimOf(code, { claim: 'received-at', time: receivedAt, grounds, says });
  const { closedAt, anchored, now } = bounds;
  if (closedAt !== null && ms > parseTime(closedAt)) {
    const says = `The entry cannot have been received at ${receivedAt}: its round closed before that, at ${closedAt}.`;
    return say('received-after-close', 'bytes', says);
  }
  const earlier = anchored.find(({ moment }) => ms > upperBound(moment) + SLOT_MS + MAX_CLOCK_SKEW_MS);
  if (earlier !== undefined) {
    const says = `The entry was anchored before ${upperTime(earlier.moment)}, which is earlier than ${receivedAt}, when it is said to have been received: the service's clock was ahead.`;
    return say('received-after-anchor', earlier.grounds, says);
  }
  if (now !== undefined && ms > now + MAX_CLOCK_SKEW_MS) {
    const says = `By the clock of this machine ${receivedAt}, when the entry is said to have been received, lies in the future: check this clock; if it is right, the service's was ahead.`;
    return say('received-ahead-of-clock', 'none', says);
  }
  return say('operators-word', 'none', `That the entry was received at ${receivedAt} is only the operator's word.`);
}
