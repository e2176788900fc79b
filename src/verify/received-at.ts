import type { Receipt } from '../core/receipt.ts';
import { parseTime } from '../core/time.ts';
import { type Claim, claimOf, type VerdictCode } from '../core/verdict.ts';

/**
 * How far a block's time may lie before the moment its transactions were sent: proof-of-stake Ethereum stamps a block
 * with the start of its slot of 12 s, in whole seconds, and a builder takes transactions until well into the slot; the
 * rest is for clocks that differ. It is also allowed for the verifier's own clock.
 */
const CLOCK_TOLERANCE_MS = 15_000;

/** The same for Bitcoin, where miners may set a block's time back to the median of the eleven before it. */
const BITCOIN_TOLERANCE_MS = 2 * 3_600_000;

export interface Bounds {
  /** When the round closed; null while that is not shown. */
  readonly closedAt: string | null;
  /** Times of the verified anchors' blocks, and what they rest on. */
  readonly anchored: readonly { readonly at: string; readonly chain: string; readonly grounds: Claim['grounds'] }[];
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
  const earlier = anchored.find(({ at, chain }) => ms > parseTime(at) + toleranceOf(chain));
  if (earlier !== undefined) {
    const says = `The entry was anchored at ${earlier.at}, before ${receivedAt}, when it is said to have been received: the service's clock was ahead.`;
    return say('received-after-anchor', earlier.grounds, says);
  }
  if (now !== undefined && ms > now + CLOCK_TOLERANCE_MS) {
    const says = `By the clock here ${receivedAt}, when the entry is said to have been received, lies in the future: the service's clock was ahead, or the one here is behind.`;
    return say('received-in-future', 'none', says);
  }
  return say('operators-word', 'none', `That the entry was received at ${receivedAt} is only the operator's word.`);
}

function toleranceOf(chain: string): number {
  return chain.startsWith('bip122:') ? BITCOIN_TOLERANCE_MS : CLOCK_TOLERANCE_MS;
}
