import { randomBytes } from 'node:crypto';
import { RegtestNode, type RegtestOptions } from '../../scripts/local/bitcoin-node.ts';
import { type CalendarOptions, LocalCalendar } from '../../scripts/local/calendar.ts';

/**
 * A Bitcoin node of its own regtest chain, with coins; `await using` ends it. `rpcUrl` is what BITCOIN_RPC_URL takes,
 * `mine`, `reorganize` and `invalidate` move the chain, `inscribe` and `submit` put bytes into it.
 */
export function testBitcoin(options: Partial<RegtestOptions> = {}): Promise<RegtestNode> {
  return RegtestNode.open({ dataDir: null, password: randomBytes(8).toString('hex'), ...options });
}

/** A calendar that stamps into the node's chain at each `turn`, and by itself where an interval is given. */
export function testCalendar(node: RegtestNode, options: Partial<CalendarOptions> = {}): Promise<LocalCalendar> {
  const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
  return LocalCalendar.open({ node, book: null, interval: null, depth: 1, random, now: Date.now, ...options });
}
