// What must hold while clocks are wrong. Each answers with what was seen.

import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { ClockedService, ClockGround } from './clocks.ts';
import { lyingEndpoint } from './lying-rpc.ts';

const HOUR = 3_600;
const DAY = 24 * HOUR;

/** Milliseconds until it is so. @throws where it is not within so many seconds */
async function until(seconds: number, what: string, check: () => Promise<boolean>): Promise<number> {
  const begin = performance.now();
  while (!(await check())) {
    if (performance.now() - begin > seconds * 1_000) throw new Error(`not within ${seconds} s: ${what}`);
    await sleep(200);
  }
  return performance.now() - begin;
}

/** Appends, and waits until a round has it. A slow machine is given ten times as long as it should take. */
async function roundFollows(ground: ClockGround, service: ClockedService, text: string): Promise<string> {
  const before = await service.newestRound();
  expect(await service.append('a', text)).toBe(201);
  const ms = await until(
    20 * ground.period,
    `a round after ${text}`,
    async () => (await service.newestRound()) > before,
  );
  return `${(ms / 1_000).toFixed(1)} s`;
}

const tells = (service: ClockedService, text: string): Promise<number> =>
  until(60, text, async () => (await service.told()).includes(text));
const forgets = (service: ClockedService, text: string): Promise<number> =>
  until(60, `no more ${text}`, async () => !(await service.told()).includes(text));

/** A worker an hour ahead closes no round, keeps nobody from closing them, and is told. */
export async function workerAhead(ground: ClockGround): Promise<string> {
  const service = await ground.start(await ground.host('right'), 'api,worker');
  await service.fetch('/v1/logs/a', { method: 'PUT' });
  await roundFollows(ground, service, 'before');
  const wrong = await ground.host('wrong', HOUR);
  const worker = await ground.start(wrong, 'worker');
  const told = await tells(service, `the clock of a process is ${HOUR} s ahead of that of the database`);
  const meanwhile: string[] = [];
  for (let i = 0; i < 4; i++) meanwhile.push(await roundFollows(ground, service, `beside it ${i}`));
  expect(Math.max(...(await service.metric('antequem_process_clock_ahead_seconds')))).toBeGreaterThan(HOUR - 60);

  // It is set right and jumps ahead again while it works.
  await wrong.set(0);
  await forgets(service, 'ahead of that of the database');
  meanwhile.push(await roundFollows(ground, service, 'right again'));
  await wrong.set(HOUR);
  await tells(service, `jumped ahead by ${HOUR} s`);
  for (let i = 0; i < 3; i++) meanwhile.push(await roundFollows(ground, service, `after its jump ${i}`));
  await worker.kill();
  const after = await roundFollows(ground, service, 'without it');
  const [newest] = await ground.query<{ ahead: number }>(
    'SELECT max(closed_at) - extract(epoch FROM clock_timestamp()) * 1000 AS ahead FROM rounds',
  );
  expect(Number(newest?.ahead)).toBeLessThan(1_000);
  return `told after ${(told / 1_000).toFixed(1)} s; rounds beside it after ${meanwhile.join(', ')}, after it ${after}`;
}

/** Two days ahead and back: appends and rounds go on, and the times in the future are told. */
export async function aheadAndBack(ground: ClockGround): Promise<string> {
  const host = await ground.host('both', 2 * DAY);
  await ground.setDatabase(2 * DAY);
  const service = await ground.start(host, 'api,worker');
  await service.fetch('/v1/logs/a', { method: 'PUT' });
  await roundFollows(ground, service, 'two days ahead');
  await host.set(0);
  await ground.setDatabase(0);
  const rounds = [await roundFollows(ground, service, 'back'), await roundFollows(ground, service, 'again')];
  const told = await tells(service, 's in the future: a clock was ahead');
  await tells(service, `jumped back by ${2 * DAY} s`);
  const [ahead = 0] = await service.metric('antequem_times_ahead_seconds');
  const [age = 0] = await service.metric('antequem_round_age_seconds');
  expect(ahead).toBeGreaterThan(DAY);
  expect(age).toBeLessThan(-DAY);
  return `rounds after ${rounds.join(', ')}; told after ${(told / 1_000).toFixed(1)} s`;
}

/** A jump of both of two days and back within a minute spoils no log. */
export async function jumpAndBack(ground: ClockGround): Promise<string> {
  const host = await ground.host('both');
  const service = await ground.start(host, 'api,worker');
  await service.fetch('/v1/logs/a', { method: 'PUT' });
  await roundFollows(ground, service, 'before');
  await host.set(2 * DAY);
  await ground.setDatabase(2 * DAY);
  await tells(service, 'jumped ahead: until it has stayed there for a minute, times go on as if it had not');
  // As after a laptop slept whose monotonic clock slept, too: nothing is refused.
  const rounds: string[] = [];
  for (let i = 0; i < 3; i++) rounds.push(await roundFollows(ground, service, `meanwhile ${i}`));
  await host.set(0);
  await ground.setDatabase(0);
  rounds.push(await roundFollows(ground, service, 'after'));
  const [newest] = await ground.query<{ entry: string; round: string }>(
    'SELECT (SELECT max(last_received_at) FROM log_heads) AS entry, (SELECT max(closed_at) FROM rounds) AS round',
  );
  expect(Math.max(Number(newest?.entry), Number(newest?.round))).toBeLessThan(Date.now() + 1_000);
  return `rounds after ${rounds.join(', ')}; no time lies in the future`;
}

/** Both an hour behind a chain that is right is told within a minute, and nothing is refused. */
export async function behindAChain(ground: ClockGround): Promise<string> {
  const host = await ground.host('both', -HOUR);
  await ground.setDatabase(-HOUR);
  const service = await ground.start(host, 'api,worker');
  await service.fetch('/v1/logs/a', { method: 'PUT' });
  await roundFollows(ground, service, 'behind');
  const told = await tells(service, 'ahead of our clocks: look whether service and database are behind');
  expect(await service.metric('antequem_chain_shows_clocks_behind')).toEqual([1]);
  await host.set(0);
  await ground.setDatabase(0);
  const rounds = [await roundFollows(ground, service, 'right'), await roundFollows(ground, service, 'again')];
  await forgets(service, 'ahead of our clocks');
  // A chain that halts shows nothing, and holds up nothing.
  await ground.chain[Symbol.asyncDispose]();
  rounds.push(await roundFollows(ground, service, 'without a chain'));
  return `told after ${(told / 1_000).toFixed(1)} s; rounds after ${rounds.join(', ')}`;
}

/** A node that says that its blocks are a day ahead is told, and keeps nothing from going on. */
export async function lyingNode(ground: ClockGround): Promise<string> {
  const node = await lyingEndpoint(ground.chain.url);
  node.lie = ({ method }, truth) => {
    if (!method.startsWith('eth_getBlockBy') || typeof truth !== 'object' || truth === null) return undefined;
    return { ...truth, timestamp: `0x${(Math.floor(Date.now() / 1_000) + DAY).toString(16)}` };
  };
  try {
    const service = await ground.start(await ground.host('right'), 'api,worker', { EVM_RPC_URLS: node.url });
    await service.fetch('/v1/logs/a', { method: 'PUT' });
    const told = await tells(service, 'ahead of our clocks');
    const rounds = [await roundFollows(ground, service, 'one'), await roundFollows(ground, service, 'two')];
    expect(await service.told()).toContain('"status":"ready"');
    return `told after ${(told / 1_000).toFixed(1)} s; rounds after ${rounds.join(', ')}`;
  } finally {
    await node.close();
  }
}
