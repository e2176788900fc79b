import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { readEndpoints, removeEndpoints, writeEndpoints } from '../../scripts/local/endpoints.ts';
import { listenNear, refusalOf } from '../../scripts/local/ports.ts';
import { freePort } from '../support/free-port.ts';

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

const opened: Server[] = [];
afterEach(() => {
  for (const server of opened.splice(0)) server.close();
});

async function listening(preferred: number): Promise<number> {
  const server = createServer();
  opened.push(server);
  return listenNear(server, preferred);
}

it('listens on the preferred port when that is free, else on another', async () => {
  const port = await listening(0);
  const other = await listening(port);
  expect(other).not.toBe(port);
  expect(other).toBeGreaterThan(0);
  await new Promise((resolve) => opened[0]?.close(resolve));
  expect(await listening(port)).toBe(port);
});

it('has every one of twenty listen that come at once', async () => {
  const port = await freePort();
  const ports = await Promise.all(Array.from({ length: 20 }, () => listening(port)));
  expect(ports).toContain(port);
  expect(new Set(ports).size).toBe(20);
});

it.each([
  ['127.0.0.1:8545', undefined, true],
  ['localhost', undefined, true],
  ['[::1]:1', 'http://localhost:3963', true],
  ['127.0.0.1:8545', 'http://127.0.0.1:3963', true],
  ['127.0.0.1:8545', 'https://elsewhere.test', false],
  ['127.0.0.1:8545', 'http://localhost.elsewhere.test', false],
  ['127.0.0.1:8545', 'null', false],
  ['elsewhere.test:8545', undefined, false],
  ['127.0.0.1.nip.io', undefined, false],
  [undefined, undefined, false],
])('answers Host %s with Origin %s: %s', (host, origin, answered) => {
  expect(refusalOf({ host, origin }) === null).toBe(answered);
});
