// A node's view of its chain, over JSON-RPC by fetch alone: what the pages need of it, without a library.

import * as z from 'zod/mini';
import { AntequemError, FormatError } from '../../core/errors.ts';
import type { EvmBlock, EvmSource, EvmTransaction } from '../../core/evm-source.ts';

const TIMEOUT_MS = 10_000;
/** A block's list of transaction hashes and a receipt of ours have some hundred kilobytes at most. */
const MAX_ANSWER = 8 << 20;

const jitless = { jitless: true };
const quantity = z.pipe(
  z.string().check(z.regex(/^0x(?:0|[1-9a-f][0-9a-f]{0,12})$/)),
  z.transform((text) => Number(text)),
);
const hex = z.pipe(
  z.string().check(z.regex(/^0x[0-9a-fA-F]*$/)),
  z.transform((text) => text.toLowerCase()),
);
const answer = z.object({ result: z.optional(z.unknown()), error: z.optional(z.object({ message: z.string() })) });
const blockAnswer = z.nullable(
  z.object({ number: quantity, hash: hex, timestamp: quantity, transactions: z.array(hex) }),
);
const receiptAnswer = z.nullable(
  z.object({
    blockHash: hex,
    blockNumber: quantity,
    status: quantity,
    logs: z.array(z.object({ address: hex, topics: z.array(hex), data: hex })),
  }),
);

/**
 * A source that asks a node. Every method throws AntequemError `rpc-failed` where the node does not answer, in time and
 * in form. @param text http or https; what it holds beside the host, such as an API key, is never shown
 * @throws FormatError `rpc-url`
 */
export function rpcSource(text: string): EvmSource {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new FormatError('rpc-url', 'The address of a node begins with http:// or https:// and a host.');
  }
  const name = `the node at ${url.host}`;
  const ask = async <T extends z.ZodMiniType>(
    method: string,
    params: readonly unknown[],
    form: T,
  ): Promise<z.output<T>> => {
    const body = await post(url, JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })).catch((error: unknown) => {
      throw new AntequemError('rpc-failed', `${name} did not answer ${method}: ${reasonOf(error)}`);
    });
    const { result, error } = answer.safeParse(body, jitless).data ?? {};
    if (error !== undefined) throw new AntequemError('rpc-failed', `${name} refused ${method}: ${error.message}`);
    const parsed = form.safeParse(result, jitless);
    if (!parsed.success) throw new AntequemError('rpc-failed', `${name} answered ${method} in another form`);
    return parsed.data;
  };
  const block = async (tag: string): Promise<EvmBlock | null> => {
    const found = await ask('eth_getBlockByNumber', [tag, false], blockAnswer);
    if (found === null) return null;
    const { number, hash, timestamp, transactions } = found;
    return { number, hash, time: timestamp * 1_000, transactions };
  };
  return {
    grounds: 'rpc',
    describe: () => name,
    chainId: async () => `eip155:${await ask('eth_chainId', [], quantity)}`,
    transaction: (hash): Promise<EvmTransaction | null> => ask('eth_getTransactionReceipt', [hash], receiptAnswer),
    async block(number) {
      const found = await block(`0x${number.toString(16)}`);
      if (found !== null && found.number !== number)
        throw new AntequemError('rpc-failed', `${name} sent another block`);
      return found;
    },
    async finalized() {
      const found = await block('finalized');
      if (found === null) throw new AntequemError('rpc-failed', `${name} names no finalized block`);
      return found.number;
    },
  };
}

async function post(url: URL, body: string): Promise<unknown> {
  // User and password cannot stand in the URL of a fetch.
  const target = new URL(url);
  target.username = '';
  target.password = '';
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (url.username !== '' || url.password !== '') {
    headers.authorization = `Basic ${btoa(`${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`)}`;
  }
  const response = await fetch(target, {
    method: 'POST',
    headers,
    body,
    redirect: 'error',
    credentials: 'omit',
    referrerPolicy: 'no-referrer',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MAX_ANSWER)
      throw new AntequemError('rpc-failed', `its answer is longer than ${MAX_ANSWER} bytes`);
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new AntequemError('rpc-failed', `status ${response.status}, and no JSON`);
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof AntequemError) return error.message;
  if (error instanceof DOMException && error.name === 'TimeoutError') return 'it took too long';
  return 'it cannot be reached from this page (it may be down, or answer no pages of other sites: CORS)';
}
