// Nodes as chains and providers have them: each mode stands in front of a real node and does one thing of its own.

import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { Transaction } from 'ethers';
import { z } from 'zod';

type Params = readonly unknown[];
type Answer = { readonly result: unknown } | { readonly error: { readonly code: number; readonly message: string } };
/** An answer of HTTP in place of one of JSON-RPC; `cut`: none, once the node has done what it was asked. */
type Http =
  | { readonly status: number; readonly body: string; readonly headers?: Readonly<Record<string, string>> }
  | 'cut'
  | 'hang';
type Ask = (method: string, params: Params) => Promise<Answer>;
type Mode = (ask: Ask, method: string, params: Params) => Promise<Answer | Http>;

const refuse = (code: number, message: string): Answer => ({ error: { code, message } });
const tooMany = (headers = {}): Http => ({ status: 429, body: '<html>429 Too Many Requests</html>', headers });
const nothing: Answer = { result: null };

/** What it answers in place of the node where that gives something. */
const instead =
  (of: (method: string, params: Params) => Answer | Http | null): (() => Mode) =>
  () =>
  async (ask, method, params) =>
    of(method, params) ?? ask(method, params);

/** Every so many-th question of a kind is answered otherwise. */
const sometimes =
  (is: RegExp, otherwise: (n: number) => Answer | Http | null): (() => Mode) =>
  () => {
    let n = 0;
    return async (ask, method, params) => (is.test(method) ? otherwise(n++) : null) ?? ask(method, params);
  };

/** Changes the result of a method. */
const altered =
  (is: RegExp, change: (result: Record<string, unknown>) => unknown): (() => Mode) =>
  () =>
  async (ask, method, params) => {
    const answer = await ask(method, params);
    return is.test(method) && 'result' in answer && typeof answer.result === 'object' && answer.result !== null
      ? { result: change({ ...answer.result }) }
      : answer;
  };

/** Of the whole answer, as text. */
const rewritten =
  (change: (json: string) => string): (() => Mode) =>
  () =>
  async (ask, method, params) => {
    const answer = await ask(method, params);
    return 'result' in answer ? { result: JSON.parse(change(JSON.stringify(answer.result))) } : answer;
  };

/** Receipts come so many milliseconds after they could. */
const lateReceipts = (late: number, final: boolean) => (): Mode => {
  const seen = new Map<unknown, number>();
  return async (ask, method, params) => {
    if (final && params[0] === 'finalized') return ask(method, ['latest', params[1]]);
    const answer = await ask(method, params);
    if (method !== 'eth_getTransactionReceipt' || !('result' in answer) || answer.result === null) return answer;
    const since = seen.get(params[0]) ?? performance.now();
    seen.set(params[0], since);
    return performance.now() - since < late ? nothing : answer;
  };
};

const SEND = 'eth_sendRawTransaction';
const isFinal = (params: Params): boolean => params[0] === 'finalized';
const noRaw = /^debug_|getRaw|getBlockReceipts/;
const refusedByHttp = (method: string): Http => ({
  status: 400,
  body: JSON.stringify({ error: { code: -32601, message: `${method} is not supported` } }),
});
const blockForm = z.looseObject({ transactions: z.array(z.looseObject({})) });
/** As a rollup tells of transactions that are not known here. */
const unknownTypes = (method: string, answer: Answer): Answer => {
  if (method !== 'eth_getBlockByHash' || !('result' in answer)) return answer;
  const block = blockForm.safeParse(answer.result);
  if (!block.success) return answer;
  return {
    result: { ...block.data, transactions: block.data.transactions.map((each) => ({ ...each, type: '0x7d' })) },
  };
};
const tipOf = (raw: unknown): bigint => Transaction.from(String(raw)).maxPriorityFeePerGas ?? 0n;
const underpriced = 'transaction underpriced: tip needed 25000000000, tip permitted 1000000000';

/** A new one for each node that has it. */
export const HABITS = {
  plain: instead(() => null),
  'a least tip of 25 gwei': instead((method, params) => {
    if (method === 'eth_maxPriorityFeePerGas') return { result: '0x6fc23ac00' };
    return method === SEND && tipOf(params[0]) < 25_000_000_000n ? refuse(-32000, underpriced) : null;
  }),
  'fees from before EIP-1559': () => async (ask, method, params) => {
    if (method === SEND && String(params[0]).startsWith('0x02'))
      return refuse(-32000, 'transaction type not supported');
    if (method === 'eth_maxPriorityFeePerGas')
      return refuse(-32601, `the method ${method} does not exist/is not available`);
    const answer = await ask(method, params);
    if (!/getBlockBy/.test(method) || !('result' in answer)) return answer;
    return {
      result: z
        .nullable(z.looseObject({ baseFeePerGas: z.unknown() }).transform(({ baseFeePerGas, ...rest }) => rest))
        .parse(answer.result),
    };
  },
  'no finalized: refused': instead((_, params) =>
    isFinal(params) ? refuse(-32602, 'invalid argument 0: invalid block tag finalized') : null,
  ),
  'no finalized: null': instead((_, params) => (isFinal(params) ? nothing : null)),
  'no finalized: always block 0': () => (ask, method, params) => ask(method, isFinal(params) ? ['0x0', false] : params),
  'a proposal of tips that is throttled': instead((method) =>
    method === 'eth_maxPriorityFeePerGas' ? tooMany() : null,
  ),
  'every second request throttled by HTTP': sometimes(/./, (n) => (n % 2 === 0 ? tooMany() : null)),
  'every third request throttled, without an id': sometimes(/./, (n) =>
    n % 3 === 2
      ? { status: 200, body: '{"jsonrpc":"2.0","id":null,"error":{"code":429,"message":"compute units per second"}}' }
      : null,
  ),
  'every second request throttled by JSON-RPC': sometimes(/./, (n) =>
    n % 2 === 1 ? refuse(-32005, 'Too Many Requests') : null,
  ),
  'all requests throttled': instead(() => tooMany({ 'retry-after': '30' })),
  'receipts late': lateReceipts(700, false),
  'receipts late, final at once': lateReceipts(700, true),
  'receipts one time in eight': sometimes(/eth_getTransactionReceipt/, (n) => (n % 8 === 7 ? null : nothing)),
  'receipts from every second machine': sometimes(/eth_getTransactionReceipt/, (n) => (n % 2 === 1 ? null : nothing)),
  'an index that is being made': () => async (ask, method, params) => {
    const answer = await ask(method, params);
    const absent = /eth_getTransaction(Receipt|ByHash)/.test(method) && 'result' in answer && answer.result === null;
    return absent ? refuse(-32000, 'transaction indexing is in progress') : answer;
  },
  'already known, once taken': () => async (ask, method, params) => {
    const answer = await ask(method, params);
    return method === SEND ? refuse(-32000, 'already known') : answer;
  },
  'already imported, once taken': () => async (ask, method, params) => {
    const answer = await ask(method, params);
    return method === SEND ? refuse(-32010, 'Transaction with the same hash was already imported.') : answer;
  },
  'nonce too low, once taken': () => async (ask, method, params) => {
    const answer = await ask(method, params);
    return method === SEND ? refuse(-32000, 'nonce is too low') : answer;
  },
  'nonce too low, always': instead((method) => (method === SEND ? refuse(-32000, 'nonce is too low') : null)),
  'underpriced two times in three': sometimes(/eth_sendRaw/, (n) => (n % 3 === 2 ? null : refuse(-32000, underpriced))),
  'a full pool three times in four': sometimes(/eth_sendRaw/, (n) =>
    n % 4 === 3 ? null : refuse(-32000, 'txpool is full'),
  ),
  'no methods about fees': instead((method) =>
    /maxPriorityFeePerGas|feeHistory/.test(method) ? refuse(-32601, `the method ${method} does not exist`) : null,
  ),
  'no tip, no price': instead((method) => (/maxPriorityFeePerGas|gasPrice/.test(method) ? { result: '0x0' } : null)),
  'no pending': instead((method, params) =>
    method === 'eth_getTransactionCount' && params[1] === 'pending' ? refuse(-32602, 'pending is not supported') : null,
  ),
  'raw methods refused by HTTP': instead((method) => (noRaw.test(method) ? refusedByHttp(method) : null)),
  'raw methods refused': instead((method) =>
    noRaw.test(method) ? refuse(-32601, `the method ${method} does not exist/is not available`) : null,
  ),
  'types unknown, raw methods refused by HTTP': () => async (ask, method, params) =>
    noRaw.test(method) ? refusedByHttp(method) : unknownTypes(method, await ask(method, params)),
  'types unknown, raw methods refused': () => async (ask, method, params) =>
    noRaw.test(method)
      ? refuse(-32601, `the method ${method} does not exist`)
      : unknownTypes(method, await ask(method, params)),
  'receipts without a status': altered(/getTransactionReceipt/, ({ status, ...receipt }) => receipt),
  'a height that falls back': () => {
    let n = 0;
    return async (ask, method, params) => {
      const answer = await ask(method, params);
      if (method !== 'eth_blockNumber' || !('result' in answer) || n++ % 2 === 0) return answer;
      return { result: `0x${Math.max(0, Number(answer.result) - 5).toString(16)}` };
    };
  },
  'times in milliseconds': altered(/getBlockBy/, (block) => ({
    ...block,
    timestamp: `0x${(BigInt(String(block.timestamp)) * 1_000n).toString(16)}`,
  })),
  'logs of 100 blocks': instead((method, params) => {
    const { fromBlock = 0, toBlock = 0 } = method === 'eth_getLogs' ? Object(params[0]) : {};
    return Number(toBlock) - Number(fromBlock) > 100 ? refuse(-32000, 'exceed maximum block range: 100') : null;
  }),
  'upper-case hex': rewritten((json) =>
    json.replace(/"0x[0-9a-f]{40,64}"/g, (hex) => `"0x${hex.slice(3, -1).toUpperCase()}"`),
  ),
  'leading zeros': rewritten((json) =>
    json.replace(/"0x([0-9a-f]{1,12})"/g, (_, digits: string) => `"0x${digits.length % 2 === 1 ? '0' : ''}${digits}"`),
  ),
  'answers cut off once sent': () => async (ask, method, params) => {
    const answer = await ask(method, params);
    return method === SEND ? 'cut' : answer;
  },
  'a page in place of an answer': instead(() => ({ status: 200, body: '<html>maintenance</html>' })),
  'no answer at all': instead(() => 'hang'),
  'no answer for a while': sometimes(/./, (n) => (n >= 6 && n < 14 ? 'hang' : null)),
  'a batch answered backwards': instead(() => null),
} satisfies Record<string, () => Mode>;

export type Habit = keyof typeof HABITS;

const question = z.object({ id: z.unknown(), method: z.string(), params: z.array(z.unknown()) });
const questions = z.union([question, z.array(question)]);
const answerOf = z.union([
  z.object({ error: z.object({ code: z.number(), message: z.string() }) }),
  z.object({ result: z.unknown() }),
]);

/** Nodes with such habits in front of one node. */
export interface HabitualNodes extends AsyncDisposable {
  /** A node with this habit. */
  url(habit: Habit): string;
}

export async function habitualNodes(upstream: string): Promise<HabitualNodes> {
  const ask: Ask = async (method, params) => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
    const response = await fetch(upstream, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    return answerOf.parse(await response.json());
  };
  const modes = new Map<string, Mode>();
  const server = createServer(async (request, response) => {
    const habit = decodeURIComponent((request.url ?? '').slice(1));
    const mode = modes.get(habit);
    if (mode === undefined) throw new Error(`no habit ${habit}`);
    const asked = questions.parse(JSON.parse((await request.toArray()).join('')));
    if (!Array.isArray(asked)) return answer(response, asked.id, await mode(ask, asked.method, asked.params));
    const said = asked.map(async ({ id, method, params }) => ({ jsonrpc: '2.0', id, ...(await ask(method, params)) }));
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify((await Promise.all(said)).toReversed()));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: (habit) => {
      modes.set(habit, HABITS[habit]());
      return `http://127.0.0.1:${address.port}/${encodeURIComponent(habit)}`;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function answer(response: ServerResponse, id: unknown, said: Answer | Http): void {
  if (said === 'hang') return;
  if (said === 'cut') return void response.destroy();
  if ('status' in said) return void response.writeHead(said.status, said.headers).end(said.body);
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ jsonrpc: '2.0', id, ...said }));
}
