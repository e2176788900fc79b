import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readEndpoints, removeEndpoints, writeEndpoints } from '../../scripts/local/endpoints.ts';
import { keptPort, listenPort } from '../../scripts/local/ports.ts';

it('reads back what was written, readable by its owner alone', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'antequem-endpoints-'));
  const endpoints = {
    pid: 1,
    startedAt: '2026-01-02T03:04:05.678Z',
    url: 'http://127.0.0.1:1',
    evmRpcUrl: 'http://127.0.0.1:2',
    chainId: 31337,
    contract: null,
    bitcoinRpcUrl: 'http://user:secret@127.0.0.1:3',
    bitcoinChain: 'bip122:0f9188f13cb7b2c71f2a335e3a4fc328',
    calendarUrl: null,
    databaseUrl: 'postgres://antequem@/antequem?host=%2Ftmp%2Fx',
  };
  expect(readEndpoints(dataDir)).toBeNull();
  writeEndpoints(dataDir, endpoints);
  expect(readEndpoints(dataDir)).toEqual(endpoints);
  expect(statSync(join(dataDir, 'endpoints.json')).mode & 0o777).toBe(0o600);
  removeEndpoints(dataDir);
  expect(readEndpoints(dataDir)).toBeNull();
  rmSync(dataDir, { recursive: true });
});

it('gives the preferred port when it is free and another when it is busy', async () => {
  const free = await listenPort(0);
  expect(await listenPort(free)).toBe(free);
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(free, '127.0.0.1', resolve));
  const other = await listenPort(free);
  expect(other).not.toBe(free);
  expect(other).toBeGreaterThan(0);
  await new Promise((resolve) => server.close(resolve));
});

it('gives the port of the time before again, whatever was preferred then', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'antequem-ports-'));
  const file = join(dataDir, 'port');
  const first = await keptPort(file, 0);
  expect(await keptPort(file, await listenPort(0))).toBe(first);
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(first, '127.0.0.1', resolve));
  const second = await keptPort(file, 0);
  expect(second).not.toBe(first);
  await new Promise((resolve) => server.close(resolve));
  expect(await keptPort(file, first)).toBe(second);
  rmSync(dataDir, { recursive: true });
});
