// A node's view of its chain for verifiers, over JSON-RPC by fetch alone: in pages, on the command line, in the service.

import * as z from 'zod/mini';
import { collectAtMost } from '../core/bounded.ts';
import { excerpt } from '../core/bytes.ts';
import { AntequemError, FormatError } from '../core/errors.ts';
import type { EvmBlock, EvmSource } from '../core/evm-source.ts';
import { parseHttpUrl } from '../core/http-url.ts';
import { parseJson } from '../core/json.ts';

const TIMEOUT_MS = 10_000;
/** A block's list of transaction hashes and a receipt of ours have some hundred kilobytes at most. */
const MAX_ANSWER_BYTES = 8 << 20;
const HOW_MANY = 'where the chain names none, say how many blocks make final (--confirmations)';
/** Wait before the one repeat of a request that came too soon for the node. */
const TOO_SOON_MS = 500;

const quantity = z.pipe(
  z.string().check(z.regex(/^0x[0-9a-fA-F]{1,13}$/)),
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
  z.pipe(
    z.object({
      blockHash: hex,
      blockNumber: quantity,
      status: z.nullish(quantity),
      logs: z.array(z.object({ address: hex, topics: z.array(hex), data: hex })),
    }),
    // Receipts of before Byzantium have no status. Only a transaction that succeeded has logs.
    z.transform(({ status, ...told }) => ({ ...told, status: status ?? (told.logs.length > 0 ? 1 : 0) })),
  ),
);

export interface RpcSourceOptions {
  /** Blocks that make final, that of the anchor among them, where the node names no final block. Default: none do. */
  readonly confirmations?: number | null;
}

/**
 * A source that asks a node. The node's chain is asked for once. Every method throws AntequemError `rpc-failed` where the
 * node does not answer in time and in form.
 * @param text http or https; only the host of it is ever shown, since the rest may hold an API key
 * @throws FormatError `rpc-url`
 */
export function rpcSource(text: string, { confirmations = null }: RpcSourceOptions = {}): EvmSource {
  const url = parseHttpUrl(text);
  if (url === null) {
    throw new FormatError('rpc-url', 'The address of a node begins with http:// or https:// and a host.');
  }
  const deep = confirmations === null ? '' : ` (final after ${confirmations} blocks where it names none)`;
  const name = `the node at ${url.host}${deep}`;
  const ask = async <T extends z.ZodMiniType>(
    method: string,
    params: readonly unknown[],
    form: T,
  ): Promise<z.output<T>> => {
    const failed = (why: string): AntequemError =>
      new AntequemError('rpc-failed', `${name} did not answer ${method}: ${why}`);
    const { status, json } = await post(url, JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })).catch(
      (error: unknown) => {
        throw failed(reasonOf(error));
      },
    );
    const { result, error } = answer.safeParse(json, { jitless: true }).data ?? {};
    if (error !== undefined) throw failed(`it said ${excerpt(error.message)}`);
    const parsed = form.safeParse(result, { jitless: true });
    if (!parsed.success) throw failed(status === 200 ? 'its answer has another form' : `its status was ${status}`);
    return parsed.data;
  };
  const readBlock = async (tag: string): Promise<EvmBlock | null> => {
    const found = await ask('eth_getBlockByNumber', [tag, false], blockAnswer);
    if (found === null) return null;
    const { number, hash, timestamp, transactions } = found;
    return { number, hash, time: timestamp * 1_000, transactions };
  };
  let chain: Promise<string> | null = null;
  return {
    grounds: 'rpc',
    describe: () => name,
    chainId() {
      chain ??= ask('eth_chainId', [], quantity).then(
        (id) => `eip155:${id}`,
        (error: unknown) => {
          chain = null;
          throw error;
        },
      );
      return chain;
    },
    transaction: (hash) => ask('eth_getTransactionReceipt', [hash], receiptAnswer),
    async block(number) {
      const found = await readBlock(`0x${number.toString(16)}`);
      if (found !== null && found.number !== number)
        throw new AntequemError('rpc-failed', `${name} sent another block`);
      return found;
    },
    async finalized() {
      if (confirmations === null) {
        const found = await readBlock('finalized').catch((error: unknown) => {
          throw new AntequemError('rpc-failed', `${error instanceof Error ? error.message : error}; ${HOW_MANY}`);
        });
        if (found === null) throw new AntequemError('rpc-failed', `${name} names no final block; ${HOW_MANY}`);
        return found.number;
      }
      const named = await readBlock('finalized').catch(() => null);
      // Some nodes call the first block final for ever.
      if (named !== null && named.number > 0) return named.number;
      return ((await readBlock('latest'))?.number ?? 0) + 1 - confirmations;
    },
  };
}

async function post(url: URL, body: string): Promise<{ status: number; json: unknown }> {
  // The URL of a fetch must not contain user and password.
  const target = new URL(url);
  target.username = '';
  target.password = '';
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (url.username !== '' || url.password !== '') {
    headers.authorization = `Basic ${btoa(`${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`)}`;
  }
  const send = (): Promise<Response> =>
    fetch(target, {
      method: 'POST',
      headers,
      body,
      redirect: 'error',
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  let response = await send();
  if (response.status === 429) {
    await response.body?.cancel();
    await new Promise((resolve) => setTimeout(resolve, TOO_SOON_MS));
    response = await send();
  }
  const bytes = await collectAtMost(response.body, MAX_ANSWER_BYTES);
  if (bytes === null) throw new AntequemError('rpc-failed', `its answer has more than ${MAX_ANSWER_BYTES} bytes`);
  const { status } = response;
  const json = parseJson(bytes);
  if (json === undefined) throw new AntequemError('rpc-failed', `its status was ${status}, and it sent no JSON`);
  return { status, json };
}

/** Why nothing came, without the URL. Only Node says what happened to the connection. */
function reasonOf(error: unknown): string {
  if (error instanceof AntequemError) return error.message;
  if (error instanceof DOMException && error.name === 'TimeoutError') return 'it took too long';
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof Error) return 'code' in cause ? String(cause.code) : cause.message;
  return 'it cannot be reached (it may be down, or refuse pages of other sites: CORS)';
}
