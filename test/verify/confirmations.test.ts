// A chain whose nodes name no final block: how many blocks make final is said to the page by its user, and to the API by
// the service's settings.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { readConfig } from '../../src/config.ts';
import { toBase64 } from '../../src/core/bytes.ts';
import { openVerifications } from '../../src/start/verifications.ts';
import { verifyReceipt } from '../../src/verify/verify.ts';
import { readTrust } from '../../src/web/verify/trust.ts';
import { serveChain } from '../cli/node.ts';
import { provenReceipt } from '../support/receipts.ts';

const { receipt, payload, local } = provenReceipt();
let node: Awaited<ReturnType<typeof serveChain>>;
beforeAll(async () => {
  // The anchor's block and one on top.
  node = await serveChain(local, { namesFinal: false });
});
afterAll(() => node?.stop());

describe('the field of the page', () => {
  const read = (confirmations: string) =>
    readTrust({ rpc: node.url, confirmations, esplora: '', key: '', policy: '', authority: '' }, [], Date.now());

  test.each([
    ['', 'unproven'],
    ['1', 'proven'],
    [' 2 ', 'proven'],
    ['3', 'unproven'],
  ])('%j leads to %s', async (text, result) => {
    const reading = await read(text);
    if (!('trust' in reading)) throw new Error(JSON.stringify(reading));
    expect(await verifyReceipt({ receipt, payload }, reading.trust)).toMatchObject({ result });
  });

  test.each(['0', '-1', '1.5', '0x2', 'two', '1000000'])('%j is no number of blocks', async (text) => {
    expect(await read(text)).toEqual({ faults: { confirmations: 'Enter a whole number of blocks from 1 on.' } });
  });
});

test.each([
  [{}, 'unproven'],
  [{ EVM_CONFIRMATIONS: '2' }, 'proven'],
  [{ EVM_CONFIRMATIONS: '3' }, 'unproven'],
])('the API of a service with %j answers %s', async (set, result) => {
  const config = readConfig({
    DATABASE_URL: 'postgres:///antequem',
    ORIGIN: 'log.example.org',
    LOG_SEED_FILE: '/run/secrets/seed',
    EVM_CHAIN_ID: '31337',
    EVM_RPC_URLS: node.url,
    EVM_PRIVATE_KEY_FILE: '/run/secrets/key',
    ...set,
  });
  const verifications = openVerifications(config);
  try {
    const body = Buffer.from(JSON.stringify({ receipt, payload: toBase64(payload) }));
    const verdict = z.looseObject({ result: z.string() }).parse(JSON.parse(await verifications.verdict(body)));
    expect(verdict.result).toBe(result);
  } finally {
    await verifications.close();
  }
});
