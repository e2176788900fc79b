// All `Anchored` events of some senders, as a node tells them: audits compare the rounds with them.

import * as z from 'zod/mini';
import type { AnchorEvent, AnchorEventQuery, AnchorEvents } from '../core/anchor-audit.ts';
import { ANCHORED_TOPIC, decodeAnchoredLog } from '../core/anchored-event.ts';
import { collectAtMost } from '../core/bounded.ts';
import { AntequemError } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';

const TIMEOUT_MS = 30_000;
const MAX_ANSWER_BYTES = 16 * 1_048_576;
/** Even a busy chain rarely has more of our events in so many blocks than fit an answer. */
const FIRST_RANGE_BLOCKS = 1 << 20;

const hex = z.pipe(
  z.string().check(z.regex(/^0x[0-9a-fA-F]*$/)),
  z.transform((text) => text.toLowerCase()),
);
const quantity = z.pipe(
  z.string().check(z.regex(/^0x[0-9a-fA-F]{1,13}$/)),
  z.transform((text) => Number(text)),
);
const answer = z.object({
  result: z.array(
    z.looseObject({
      address: hex,
      topics: z.array(hex),
      data: hex,
      transactionHash: hex,
      blockNumber: quantity,
      blockHash: hex,
      blockTimestamp: z.optional(z.unknown()),
    }),
  ),
});

/**
 * Asks a node with eth_getLogs, and for fewer blocks at once if it says that they are too many.
 * @throws AntequemError `rpc-failed`, from the generator
 */
export function anchorEvents(url: string): AnchorEvents {
  return async function* events({ contracts, senders, from, to }) {
    let range = FIRST_RANGE_BLOCKS;
    for (let at = from; at <= to; ) {
      const end = Math.min(to, at + range - 1);
      const found = await ask(url, { contracts, senders, from: at, to: end });
      if (typeof found === 'string') {
        if (range === 1) throw failed(url, found);
        range = Math.max(1, Math.floor(Math.min(range, end - at + 1) / 4));
        continue;
      }
      yield { events: found, to: end };
      at = end + 1;
      range = Math.min(FIRST_RANGE_BLOCKS, range * 2);
    }
  };
}

/** The events of a range of blocks, or why the node does not tell them. */
async function ask(url: string, query: AnchorEventQuery): Promise<AnchorEvent[] | string> {
  const filter = {
    address: query.contracts,
    topics: [ANCHORED_TOPIC, query.senders.map((sender) => `0x${sender.slice(2).toLowerCase().padStart(64, '0')}`)],
    fromBlock: `0x${query.from.toString(16)}`,
    toBlock: `0x${query.to.toString(16)}`,
  };
  let text: string;
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_getLogs', params: [filter] }),
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const body = await collectAtMost(response.body, MAX_ANSWER_BYTES);
    if (body === null) return 'its answer is too long';
    text = Buffer.from(body).toString('utf8');
  } catch (error) {
    // A range with too many events takes too long as well.
    if (error instanceof Error && error.name === 'TimeoutError') return 'it took too long';
    throw failed(url, error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error));
  }
  const parsed = answer.safeParse(parseJson(text));
  if (!parsed.success) return 'its answer is not a list of events';
  return parsed.data.result.flatMap((log): AnchorEvent[] => {
    const event = decodeAnchoredLog(log);
    if (event === null) return [];
    const time = quantity.safeParse(log.blockTimestamp);
    return [
      {
        root: event.root,
        contract: log.address,
        transaction: log.transactionHash,
        block: { number: log.blockNumber, hash: log.blockHash },
        time: time.success ? time.data * 1_000 : null,
      },
    ];
  });
}

function failed(url: string, why: string): AntequemError {
  const { protocol, host } = new URL(url);
  return new AntequemError('rpc-failed', `${protocol}//${host} did not answer eth_getLogs: ${why.slice(0, 200)}`);
}
