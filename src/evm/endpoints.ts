// The endpoints of a chain: each with its own health, together as one node.

import type { Logger } from 'pino';
import { AntequemError, messageOf } from '../core/errors.ts';
import type { BlockTag, EvmNode, NodeBlock, NodeReceipt, NodeTransaction, NodeTransactions } from './node.ts';

/** For the chain id, the simplest question. An endpoint that takes longer is not used this time. */
const CHAIN_ID_MS = 5_000;

/** The endpoints of one chain. Each is asked separately: one that hangs or is on another chain does not delay the others. */
export class Endpoints {
  readonly #endpoints: readonly ChainEndpoint[];
  readonly #chainId: number;
  readonly #logger: Logger;

  constructor(nodes: readonly EvmNode[], chainId: number, logger: Logger) {
    this.#endpoints = nodes.map((node) => new ChainEndpoint(node));
    this.#chainId = chainId;
    this.#logger = logger;
  }

  /**
   * The endpoints that answer and are on the right chain, as one node. The chain id is asked for each time: a URL may
   * lead to another chain than a minute ago. @throws AntequemError `chain-unreachable`
   */
  async use(): Promise<EvmNode> {
    const groups = [this.#endpoints.filter((one) => !one.resting), this.#endpoints.filter((one) => one.resting)];
    const complaints: string[] = [];
    for (const group of groups) {
      const usable = await this.#onChain(group, complaints);
      if (usable.length > 0) {
        return agreedNode(usable, `eip155:${this.#chainId}`, (endpoint, says) => this.#note(endpoint, says, 'warn'));
      }
    }
    throw new AntequemError(
      'chain-unreachable',
      `no endpoint of eip155:${this.#chainId} can be used: ${complaints.join('; ')} (EVM_RPC_URLS)`,
    );
  }

  /** Whether any endpoint answered when last asked. */
  get answering(): boolean {
    return this.#endpoints.some((endpoint) => !endpoint.silent);
  }

  close(): void {
    for (const { node } of this.#endpoints) node.close();
  }

  async #onChain(endpoints: readonly ChainEndpoint[], complaints: string[]): Promise<ChainEndpoint[]> {
    const { answers, failures } = await poll(endpoints, (node) => node.chainId(), CHAIN_ID_MS);
    for (const { endpoint, error } of failures) {
      const says = messageOf(error);
      complaints.push(says);
      this.#note(endpoint, says, 'warn');
    }
    return answers.flatMap(({ endpoint, value }) => {
      if (value === this.#chainId) {
        this.#note(endpoint, null, 'info');
        return [endpoint];
      }
      const says = `${endpoint.node.name} is on chain ${value}, not ${this.#chainId}: it is not used`;
      complaints.push(says);
      this.#note(endpoint, says, 'error');
      return [];
    });
  }

  /** Logs each problem of an endpoint once, and when it is over. */
  #note(endpoint: ChainEndpoint, says: string | null, level: 'warn' | 'error' | 'info'): void {
    if (endpoint.complaint === says) return;
    // With a single endpoint the target reports the problem itself.
    if (this.#endpoints.length > 1 || level === 'error') {
      this.#logger[level]({ endpoint: endpoint.node.name }, says ?? `${endpoint.node.name} can be used again`);
    }
    endpoint.complaint = says;
  }
}

/** How long the other endpoints may take after the first has answered. */
const GRACE_MS = 1_500;
/** How long an endpoint that hung is left alone while there are others. */
const REST_MS = 30_000;

/** One endpoint of a chain, and whether it hung recently. */
class ChainEndpoint {
  readonly node: EvmNode;
  /** The last problem found; null: none. */
  complaint: string | null = null;
  /** By the monotonic clock, so that setting the wall clock cannot make it rest forever. */
  #restUntil = 0;
  #silent = false;

  constructor(node: EvmNode) {
    this.node = node;
  }

  /** Whether it hung the last time it was asked. */
  get silent(): boolean {
    return this.#silent;
  }

  get resting(): boolean {
    return performance.now() < this.#restUntil;
  }

  hung(): void {
    this.#silent = true;
    this.#restUntil = performance.now() + REST_MS;
  }

  answered(): void {
    this.#silent = false;
    this.#restUntil = 0;
  }
}

interface Poll<T> {
  /** In the order of the endpoints. */
  readonly answers: readonly { readonly endpoint: ChainEndpoint; readonly value: T }[];
  readonly failures: readonly { readonly endpoint: ChainEndpoint; readonly error: unknown }[];
}

/**
 * Asks all endpoints at once. An endpoint that does not answer soon after the first counts as failed and rests, so that
 * one that hangs costs a moment instead of a timeout for each question.
 * @param limit milliseconds to wait at most; default: the nodes' own timeout
 */
async function poll<T>(
  endpoints: readonly ChainEndpoint[],
  question: (node: EvmNode) => Promise<T>,
  limit?: number,
): Promise<Poll<T>> {
  const outcomes = new Array<{ value: T } | { error: unknown } | null>(endpoints.length).fill(null);
  const start = performance.now();
  await new Promise<void>((resolve) => {
    let waiting = endpoints.length;
    let grace: NodeJS.Timeout | undefined;
    const end = limit === undefined ? undefined : setTimeout(resolve, limit);
    const settle = (): void => {
      waiting -= 1;
      if (waiting > 0) return;
      clearTimeout(grace);
      clearTimeout(end);
      resolve();
    };
    if (waiting === 0) resolve();
    for (const [i, endpoint] of endpoints.entries()) {
      question(endpoint.node).then(
        (value) => {
          endpoint.answered();
          outcomes[i] = { value };
          grace ??= setTimeout(resolve, GRACE_MS);
          settle();
        },
        (error: unknown) => {
          if (performance.now() - start > GRACE_MS) endpoint.hung();
          outcomes[i] = { error };
          settle();
        },
      );
    }
  });
  const ends = endpoints.map((endpoint, i) => ({ endpoint, outcome: outcomes[i] ?? late(endpoint) }));
  return {
    answers: ends.flatMap(({ endpoint, outcome }) => ('value' in outcome ? [{ endpoint, value: outcome.value }] : [])),
    failures: ends.flatMap(({ endpoint, outcome }) => ('error' in outcome ? [{ endpoint, error: outcome.error }] : [])),
  };
}

function late(endpoint: ChainEndpoint): { error: AntequemError } {
  endpoint.hung();
  return { error: new AntequemError('rpc-failed', `${endpoint.node.name} does not answer in time`) };
}

/** How many blocks an endpoint may be behind the others before this is reported. */
const LAG_BLOCKS = 64;

/**
 * Several endpoints of the same chain as one node. About blocks they must agree. Of counts and heights the most cautious
 * answer is taken. Requests that only cost time, such as sending the same bytes, go to all of them. Each method throws
 * AntequemError `endpoints-disagree` where they contradict each other, and the first endpoint's error where none answers.
 * @param report receives the problems of endpoints that are still used
 */
function agreedNode(
  endpoints: readonly ChainEndpoint[],
  chain: string,
  report: (endpoint: ChainEndpoint, says: string) => void,
): EvmNode {
  const [only] = endpoints;
  if (only !== undefined && endpoints.length === 1) return only.node;

  const ask = async <T>(question: (node: EvmNode) => Promise<T>): Promise<readonly Said<T>[]> => {
    const ready = endpoints.filter((endpoint) => !endpoint.resting);
    const { answers, failures } = await poll(ready.length === 0 ? endpoints : ready, question);
    if (answers.length === 0) throw failures[0]?.error;
    return answers;
  };
  const agree = <T>(what: string, said: readonly Said<T>[], show: (value: T) => string): T => {
    const [first, ...others] = said;
    if (first === undefined) throw new AntequemError('internal', `no endpoint was asked about ${what}`);
    if (others.every(({ value }) => show(value) === show(first.value))) return first.value;
    const versions = said.map(({ endpoint, value }) => `${endpoint.node.name} says ${show(value)}`);
    throw new AntequemError(
      'endpoints-disagree',
      `${what} of ${chain}: ${versions.join(', ')}; nothing of it is trusted until they agree`,
    );
  };
  const blockAt = async (number: number): Promise<NodeBlock | null> => {
    // An endpoint that does not have the block yet does not contradict the others.
    const said = (await ask((node) => node.block(number))).flatMap(({ endpoint, value }) =>
      value === null ? [] : [{ endpoint, value }],
    );
    return said.length === 0 ? null : agree(`block ${number}`, said, ({ hash }) => hash);
  };
  const blockBy = async (tag: Exclude<BlockTag, number>): Promise<NodeBlock | null> => {
    const said = await ask((node) => node.block(tag));
    const blocks = said.flatMap(({ value }) => value ?? []);
    const highest = blocks.reduce((most, { number }) => Math.max(most, number), 0);
    for (const { endpoint, value } of said) {
      const behind = highest - (value?.number ?? highest);
      if (behind > LAG_BLOCKS)
        report(endpoint, `${endpoint.node.name} is ${behind} blocks behind on ${tag}: the others wait for it`);
    }
    if (blocks.length < said.length) return null;
    return blocks.reduce<NodeBlock | null>(
      (low, block) => (low === null || block.number < low.number ? block : low),
      null,
    );
  };
  const receipt = async (hash: string): Promise<NodeReceipt | null> => {
    const said = await ask((node) => node.receipt(hash));
    const found = said.flatMap(({ endpoint, value }) => (value === null ? [] : [{ endpoint, value }]));
    if (found.length === 0) return null;
    const agreed = agree(`transaction ${hash}`, found, showReceipt);
    const silent = said.filter(({ value }) => value === null).map(({ endpoint }) => endpoint);
    if (silent.length === 0) return agreed;
    // An endpoint that has the block must also have the transaction.
    const { answers } = await poll(silent, (node) => node.block(agreed.blockNumber));
    const denying = answers.filter(({ value }) => value !== null);
    if (denying.length === 0) return agreed;
    const versions = [
      ...found.map(({ endpoint, value }) => ({ endpoint, value: `it is in ${value.blockHash}` })),
      ...denying.map(({ endpoint }) => ({ endpoint, value: `it is not in block ${agreed.blockNumber}` })),
    ];
    agree(`transaction ${hash}`, versions, (text) => text);
    return agreed;
  };
  const transaction = async (hash: string): Promise<NodeTransaction | null> => {
    const known = (await ask((node) => node.transaction(hash))).flatMap(({ value }) => value ?? []);
    return known.find(({ block }) => block !== null) ?? known[0] ?? null;
  };
  const transactionsAt = async (number: number): Promise<NodeTransactions | null> => {
    const said = (await ask((node) => node.transactionsAt(number))).flatMap(({ endpoint, value }) =>
      value === null ? [] : [{ endpoint, value }],
    );
    return said.length === 0 ? null : agree(`block ${number}`, said, ({ hash }) => hash);
  };
  const values = async <T>(question: (node: EvmNode) => Promise<T>): Promise<T[]> =>
    (await ask(question)).map(({ value }) => value);
  const first = async <T>(question: (node: EvmNode) => Promise<T>): Promise<T> => {
    const [value] = await ask(question);
    if (value === undefined) throw new AntequemError('internal', 'no endpoint was asked');
    return value.value;
  };

  return {
    name: endpoints.map(({ node }) => node.name).join(', '),
    chainId: () => first((node) => node.chainId()),
    block: (at) => (typeof at === 'number' ? blockAt(at) : blockBy(at)),
    transactionCount: async (address, at, pick = 'least') => {
      const counts = await values((node) => node.transactionCount(address, at));
      return pick === 'least' ? Math.min(...counts) : Math.max(...counts);
    },
    balance: async (address) => (await values((node) => node.balance(address))).reduce((a, b) => (b < a ? b : a)),
    receipt,
    transaction,
    transactionsAt,
    code: async (address) => agree(`the code at ${address}`, await ask((node) => node.code(address)), (code) => code),
    // Too little gas loses all that was paid; too much is refunded.
    estimateGas: async (call) => (await values((node) => node.estimateGas(call))).reduce((a, b) => (b > a ? b : a)),
    priorityFee: () => first((node) => node.priorityFee()),
    gasPrice: () => first((node) => node.gasPrice()),
    send: async (raw) => void (await ask((node) => node.send(raw))),
    sources: endpoints.flatMap(({ node }) => node.sources),
    close: () => {
      for (const { node } of endpoints) node.close();
    },
  };
}

interface Said<T> {
  readonly endpoint: ChainEndpoint;
  readonly value: T;
}

function showReceipt({ blockHash, blockNumber, succeeded, logs }: NodeReceipt): string {
  const events = logs.map(({ address, topics, data }) => `${address} ${topics.join(' ')} ${data}`);
  return `it is in ${blockHash} (${blockNumber}), ${succeeded ? 'done' : 'reverted'}, with [${events.join('; ')}]`;
}
