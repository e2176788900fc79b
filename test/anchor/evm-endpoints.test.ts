import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { rpcNode } from '../../src/evm/node.ts';
import type { EvmTargetOptions } from '../../src/evm/target.ts';
import { SENDER, statuses } from '../support/anchoring.ts';
import { anvilChain, noAnvil } from '../support/anvil-chain.ts';
import { type AnvilGround, anvilGround, problemOf } from '../support/anvil-ground.ts';
import { readBacklog } from '../support/backlog.ts';
import { openGate } from '../support/gate.ts';
import { type LyingEndpoint, lyingEndpoint } from '../support/lying-rpc.ts';

describe.skipIf(noAnvil !== null)(`endpoints, on anvil${noAnvil === null ? '' : ` (skipped: ${noAnvil})`}`, () => {
  let ground: AnvilGround;
  let liar: LyingEndpoint;
  let logged: { level: number; msg: string; endpoint?: string; code?: string }[];
  beforeEach(async () => {
    ground = await anvilGround();
    liar = await lyingEndpoint(ground.gate.url);
    logged = [];
  });
  afterEach(async () => {
    await liar.close();
    await ground.stop();
  });

  const targetWith = (rpcUrls: readonly string[], options: Partial<EvmTargetOptions> = {}) =>
    ground.target({
      rpcUrls,
      logger: pino({ level: 'info' }, { write: (line: string) => void logged.push(JSON.parse(line)) }),
      ...options,
    });
  const hash = (byte: string) => `0x${byte.repeat(32)}`;

  const LIES: Record<string, LyingEndpoint['lie']> = {
    'another block': ({ method, params }, truth) =>
      method === 'eth_getBlockByNumber' && /^0x/.test(String(params[0])) && Number(params[0]) > 1
        ? { ...Object(truth), hash: hash('ee') }
        : undefined,
    'an invented receipt': ({ method, params }) =>
      method === 'eth_getTransactionReceipt'
        ? { blockHash: hash('ee'), blockNumber: '0x3', status: '0x1', logs: [], transactionHash: params[0] }
        : undefined,
    'no receipt': ({ method }) => (method === 'eth_getTransactionReceipt' ? null : undefined),
    'a receipt of another outcome': ({ method }, truth) =>
      method === 'eth_getTransactionReceipt' && truth !== null ? { ...Object(truth), status: '0x0' } : undefined,
  };

  test('one that tells of another block or receipt is not trusted, nor is the other, and it is said', async () => {
    const all: number[] = [];
    for (const [name, lie] of Object.entries(LIES)) {
      logged = [];
      const target = targetWith([ground.gate.url, liar.url]);
      const rounds = await ground.prepare(target, 2);
      all.push(...rounds);
      liar.lie = lie;
      for (let i = 0; i < 3; i++) {
        await target.advance(rounds);
        await ground.mine(8);
      }
      expect(await statuses(ground.database), name).toMatchObject({ submitted: 2 });
      const problem = await problemOf(ground, rounds[0] ?? 0);
      expect(problem, name).toMatch(/of eip155:31337: .* says .*; nothing of it is trusted until they agree$/);
      expect(problem).toContain(new URL(liar.url).host);
      expect(logged.filter(({ code }) => code === 'endpoints-disagree')).toHaveLength(1);
      expect((await readBacklog(ground.database))[0]?.stopped).toBeNull();

      liar.lie = () => undefined;
      await ground.finish(target, rounds);
      expect(await problemOf(ground, rounds[0] ?? 0)).toBeNull();
    }
    await ground.expectOnce(all);
  });

  test('one that says it sent what it did not, or counts too much or too little, stops nothing for long and loses nothing', async () => {
    const target = targetWith([liar.url, ground.gate.url]);
    const rounds = await ground.prepare(target, 2);
    liar.lie = ({ method }) => (method === 'eth_sendRawTransaction' ? hash('ab') : undefined);
    await ground.finish(target, rounds);
    const more = await ground.prepare(target, 2);
    liar.lie = ({ method }) => (method === 'eth_getTransactionCount' ? '0x63' : undefined);
    await target.advance(more);
    expect(await problemOf(ground, 3)).toContain('some endpoints of eip155:31337 count 99 transactions, others 2');
    expect((await readBacklog(ground.database))[0]?.stopped).toBeNull();
    liar.lie = ({ method }) => (method === 'eth_getTransactionCount' ? '0x0' : undefined);
    await ground.finish(target, more);
    liar.lie = ({ method }) => (method === 'eth_estimateGas' ? '0x5208' : undefined);
    const last = await ground.prepare(target, 1);
    await ground.finish(target, last);
    await ground.expectOnce([...rounds, ...more, ...last]);
  });

  test('one that calls final what is not is waited for by nobody: the most careful counts', async () => {
    const target = targetWith([liar.url, ground.gate.url]);
    const rounds = await ground.prepare(target, 1);
    liar.lie = ({ method, params }, truth) =>
      method === 'eth_getBlockByNumber' && params[0] === 'finalized' ? { ...Object(truth), number: '0x5' } : undefined;
    await target.advance(rounds);
    await ground.mined();
    await target.advance(rounds);
    expect(await statuses(ground.database)).toEqual({ included: 1 });
    await ground.finish(target, rounds);
  });

  test('one that hangs costs a moment once, whichever it is', async () => {
    const hanging = await openGate(ground.gate.url);
    await hanging.set('hanging');
    try {
      const target = targetWith([hanging.url, ground.gate.url]);
      const rounds = await ground.prepare(target, 1);
      const start = performance.now();
      await target.advance(rounds);
      const first = performance.now() - start;
      await ground.mined();
      await target.advance(rounds);
      expect(await statuses(ground.database)).toEqual({ included: 1 });
      const again = performance.now();
      for (let i = 0; i < 5; i++) await target.advance(rounds);
      const later = (performance.now() - again) / 5;
      console.log(`first endpoint hangs: first pass ${first.toFixed(0)} ms, later ones ${later.toFixed(0)} ms`);
      // The first pass waits out one limit; the later ones do not ask the endpoint that hangs.
      expect(later).toBeLessThan(first);
      expect(await target.newestFinalBlock()).not.toBeNull();
      await ground.finish(target, rounds);
      await ground.expectOnce(rounds);
      const { host } = new URL(hanging.url);
      expect(logged.filter(({ endpoint }) => endpoint === host).map(({ msg }) => msg)).toEqual([
        `${host} does not answer in time`,
      ]);
    } finally {
      await hanging.close();
    }
  });

  test('one on another chain is asked for its chain id and nothing else; one that is down is done without', async () => {
    await using other = await anvilChain('--chain-id', '999');
    const watched = await lyingEndpoint(other.url);
    const down = await openGate(ground.gate.url);
    await down.set('shut');
    try {
      const target = targetWith([watched.url, down.url, ground.gate.url]);
      const rounds = await ground.prepare(target, 1);
      await ground.finish(target, rounds);
      await ground.expectOnce(rounds);
      expect(new Set(watched.asked.map(({ method }) => method))).toEqual(new Set(['eth_chainId']));
      expect(await other.provider.getTransactionCount(SENDER)).toBe(0);
      const { host } = new URL(watched.url);
      expect(logged.filter(({ level }) => level === 50).map(({ msg }) => msg)).toEqual([
        `${host} is on chain 999, not 31337: it is not used`,
      ]);
      await down.set('open');
      await target.advance(rounds);
      expect(logged.at(-1)?.msg).toBe(`${new URL(down.url).host} can be used again`);
    } finally {
      await watched.close();
      await down.close();
    }
  });

  test('all of them silent: nothing is lost, and every caller is told after the time limit', async () => {
    const slow = rpcNode({ url: ground.gate.url, timeout: 300 });
    const target = targetWith([], { nodes: [slow] });
    const rounds = await ground.prepare(target, 1);
    await ground.gate.set('hanging');
    await target.advance(rounds);
    expect(await problemOf(ground, 1)).toMatch(/no endpoint of eip155:31337 can be used: .*no answer in time/);
    await ground.gate.set('open');
    await ground.finish(target, rounds);
    await ground.expectOnce(rounds);
  });
});
