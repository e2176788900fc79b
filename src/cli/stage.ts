import type { Client, Stage } from '../client/client.ts';
import { type RetryPolicy, retrying } from '../client/retry.ts';
import { knownAnchors, parseReceipt, type Receipt } from '../core/receipt.ts';
import { retryPolicy } from './delivery.ts';

export const STAGES = ['round', 'stamped', 'included', 'finalized', 'bitcoin', 'stored'] as const;

/** Seconds that the service may hold a request: proxies usually give up after 60. */
const LONGEST_HOLD_S = 50;

/** Whether a receipt claims to have reached this stage. Only `verify` checks the claim. */
export function hasReached(receipt: Receipt, stage: Exclude<Stage, 'stored'>): boolean {
  if (!('round' in receipt)) return false;
  const anchors = knownAnchors(receipt);
  const confirmed = anchors.some(({ status }) => status === 'confirmed');
  switch (stage) {
    case 'round':
      return true;
    case 'stamped':
      return anchors.some(({ status }) => status === 'stamped');
    case 'included':
      return confirmed || anchors.some(({ status }) => status === 'included' || status === 'finalized');
    case 'finalized':
      return confirmed || anchors.some(({ status }) => status === 'finalized');
    case 'bitcoin':
      return confirmed;
  }
}

/** The furthest stage that a receipt claims, in words. */
export function stageInWords(receipt: Receipt): string {
  if (!('round' in receipt)) return 'logged, its round has not closed yet';
  const { number } = receipt.round;
  if (hasReached(receipt, 'bitcoin')) return `in round ${number}, anchored to Bitcoin`;
  if (hasReached(receipt, 'finalized')) return `in round ${number}, anchored and final`;
  if (hasReached(receipt, 'included')) return `in round ${number}, anchored in a block that is not final yet`;
  if (hasReached(receipt, 'stamped')) return `in round ${number}, signed by a timestamp authority, in no block yet`;
  return `in round ${number}, not anchored yet`;
}

/**
 * The receipt of an entry once it has reached `until`, or the current one after `wait` seconds; and whether it has.
 * @throws FormatError `receipt-invalid` if the service's answer is not a receipt
 */
export async function fetchReceipt(
  client: Client,
  log: string,
  index: number,
  hold: { wait: number; until: Stage },
): Promise<{ readonly receipt: Receipt; readonly reached: boolean }> {
  const end = Date.now() + hold.wait * 1000;
  const policy = retryPolicy(Math.max(hold.wait, 5));
  for (;;) {
    const left = Math.max(0, Math.ceil((end - Date.now()) / 1000));
    const wait = Math.min(left, LONGEST_HOLD_S);
    const asked = Date.now();
    const receipt = parseReceipt(await retrying(() => client.receipt(log, index, { wait, until: hold.until }), policy));
    const reached =
      hold.until === 'stored' ? await isStored(client, log, receipt, policy) : hasReached(receipt, hold.until);
    if (left === 0 || reached) return { receipt, reached };
    // If the service answers early, it must not be asked again in a tight loop.
    await policy.sleep(Math.max(0, Math.min(1000 - (Date.now() - asked), end - Date.now())));
  }
}

/** A receipt has a path to a later round that is stored, but does not tell whether its own round is. */
async function isStored(client: Client, log: string, receipt: Receipt, policy: RetryPolicy): Promise<boolean> {
  if (!('round' in receipt)) return false;
  return receipt.storedPath !== undefined || retrying(() => client.isStored(log, receipt.entry.index), policy);
}
