// Several endpoints as one node. What they say of blocks counts where they agree; of counts and heights the most
// careful answer does; what only costs time, such as sending the same bytes, is asked of all.

import { AntequemError } from '../core/errors.ts';
import type { BlockTag, EvmNode, NodeBlock, NodeReceipt } from './node.ts';
import { type Endpoint, poll } from './poll.ts';

/** Blocks that an endpoint may be behind the others before that is worth a complaint. */
const LAG = 64;

/**
 * One node made of endpoints that are all on the chain. Each method throws AntequemError `endpoints-disagree` where they
 * contradict each other, and what the first of them threw where none answers.
 * @param report is told what is wrong with an endpoint that goes on being asked
 */
export function agreedNode(
  endpoints: readonly Endpoint[],
  chain: string,
  report: (endpoint: Endpoint, says: string) => void,
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
    if (first === undefined) throw new AntequemError('internal', `nobody was asked about ${what}`);
    if (others.every(({ value }) => show(value) === show(first.value))) return first.value;
    const versions = said.map(({ endpoint, value }) => `${endpoint.node.name} says ${show(value)}`);
    throw new AntequemError(
      'endpoints-disagree',
      `${what} of ${chain}: ${versions.join(', ')}; nothing of it is trusted until they agree`,
    );
  };
  const blockAt = async (number: number): Promise<NodeBlock | null> => {
    // Who does not have it yet says nothing about it.
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
      if (behind > LAG) report(endpoint, `${endpoint.node.name} is ${behind} blocks behind on ${tag}: all wait for it`);
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
    // Whoever has the block must have the transaction in it.
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
  const values = async <T>(question: (node: EvmNode) => Promise<T>): Promise<T[]> =>
    (await ask(question)).map(({ value }) => value);
  const first = async <T>(question: (node: EvmNode) => Promise<T>): Promise<T> => {
    const [value] = await ask(question);
    if (value === undefined) throw new AntequemError('internal', 'nobody was asked');
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
    knows: async (hash) => (await values((node) => node.knows(hash))).some((known) => known),
    code: async (address) => agree(`the code at ${address}`, await ask((node) => node.code(address)), (code) => code),
    // Too little is lost with all it costs, too much is given back.
    estimateGas: async (call) => (await values((node) => node.estimateGas(call))).reduce((a, b) => (b > a ? b : a)),
    priorityFee: () => first((node) => node.priorityFee()),
    send: async (raw) => void (await ask((node) => node.send(raw))),
    sources: endpoints.flatMap(({ node }) => node.sources),
    close: () => {
      for (const { node } of endpoints) node.close();
    },
  };
}

interface Said<T> {
  readonly endpoint: Endpoint;
  readonly value: T;
}

function showReceipt({ blockHash, blockNumber, succeeded, logs }: NodeReceipt): string {
  const events = logs.map(({ address, topics, data }) => `${address} ${topics.join(' ')} ${data}`);
  return `it is in ${blockHash} (${blockNumber}), ${succeeded ? 'done' : 'reverted'}, with [${events.join('; ')}]`;
}
