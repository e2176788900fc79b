// A receipt of a newer service by every way in: the verdict is the one without what is unknown.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { sha256 } from '#sha256';
import { FolderSource } from '../../src/audit/remote/folder-source.ts';
import { composeReceipt } from '../../src/audit/remote/receipt.ts';
import { Client } from '../../src/client/client.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { parseReceipt } from '../../src/core/receipt.ts';
import { verdictSchema } from '../../src/core/verdict-schema.ts';
import { rpcSource } from '../../src/evm/rpc-source.ts';
import { verify } from '../../src/verify/verify.ts';
import { forgeMirror, NEW_YEAR } from '../audit/forged.ts';
import { run } from '../cli/command.ts';
import { browserMissing, openWatched, testBrowser } from '../support/browser.ts';
import { MemoryChain } from '../support/receipts.ts';
import { answerOtherSites, type WebGround, webGround } from '../web/ground.ts';

const CONTENT = 'user 7 deleted invoice 1234';

type Json = Record<string, unknown>;
const receiptForm = z.looseObject({ anchors: z.array(z.looseObject({ type: z.string() })).length(1) });

const unknown = (count: number): Json[] =>
  Array.from({ length: count }, (_, i) => ({
    type: `kind-${i}`,
    status: 'confirmed',
    chain: 'eip155:1',
    token: 'AAAA',
  }));

/** What the anchors of the receipt become, and how many of them are of unknown types. */
const CASES: readonly (readonly [string, (anchor: Json) => Json[], number])[] = [
  ['as it is', (anchor) => [anchor], 0],
  ['an unknown anchor', (anchor) => [anchor, ...unknown(1)], 1],
  ['an unknown anchor first', (anchor) => [...unknown(1), anchor], 1],
  ['unknown members', (anchor) => [{ ...anchor, note: { a: [1] }, verified: false }], 0],
  ['15 unknown anchors, with the known one 16', (anchor) => [anchor, ...unknown(15)], 15],
  ['16 unknown anchors alone', () => unknown(16), 16],
];

describe('a receipt with what this version does not know', () => {
  let ground: WebGround;
  let browser: Browser | null = null;
  let page: Page;
  const outcomes: Record<string, Record<string, string>> = {};
  const receipts = new Map<string, { readonly json: Json; readonly unknown: number }>();
  let entry: Awaited<ReturnType<ReturnType<Client['log']>['append']>>;
  const file = (name: string): string => join(ground.folder, name);

  beforeAll(async () => {
    ground = await webGround();
    await using client = new Client({ url: ground.url });
    const log = client.log('ledger');
    entry = await log.append(CONTENT);
    const real = receiptForm.parse(await log.receipt(entry, { wait: 40, until: 'finalized' }));
    for (const [name, anchorsOf, count] of CASES) {
      const json = { ...real, anchors: real.anchors.flatMap(anchorsOf) };
      receipts.set(name, { json, unknown: count });
      await writeFile(file(`${name}.json`), JSON.stringify(json));
    }
    await writeFile(file('content.txt'), CONTENT);
    if (browserMissing === null) {
      browser = await testBrowser();
      ({ page } = await openWatched(browser));
      await answerOtherSites(page, ground.rpc);
    }
  }, 90_000);
  afterAll(async () => {
    await browser?.close();
    await ground?.[Symbol.asyncDispose]();
  });

  /** Notes the verdict and how many anchors were left open, and compares with the receipt as it is. */
  function note(way: string, name: string, result: string, open: number): void {
    outcomes[name] = { ...outcomes[name], [way]: `${result}, ${open} open` };
    const alone = name.endsWith('alone');
    expect([way, name, result, open]).toEqual([way, name, alone ? 'unproven' : 'proven', receipts.get(name)?.unknown]);
  }
  const openAnchors = ({ claims }: z.infer<typeof verdictSchema>): number =>
    claims.filter(({ code }) => code === 'anchor-unknown').length;

  test('on the command line', async () => {
    for (const name of receipts.keys()) {
      const args = [file('content.txt'), file(`${name}.json`), '--rpc', ground.rpc, '--json'];
      const { code, stdout } = await run(['verify', ...args]);
      const verdict = verdictSchema.parse(JSON.parse(stdout));
      expect(code).toBe(verdict.result === 'proven' ? 0 : 2);
      note('command line', name, verdict.result, openAnchors(verdict));
    }
  }, 60_000);

  test('by the API', async () => {
    for (const [name, { json }] of receipts) {
      const body = JSON.stringify({ receipt: json, payload: Buffer.from(CONTENT).toString('base64') });
      const headers = { 'content-type': 'application/json' };
      const response = await fetch(`${ground.url}/v1/verify`, { method: 'POST', headers, body });
      const verdict = verdictSchema.parse(await response.json());
      note('API', name, verdict.result, openAnchors(verdict));
    }
  });

  test.skipIf(browserMissing !== null)(
    'on the page from disk',
    async () => {
      for (const name of receipts.keys()) {
        await page.goto(ground.verifier);
        await page.getByLabel('Choose or drop the file').setInputFiles(file('content.txt'));
        await page.getByText('Advanced:').click();
        await page.getByLabel('A node of the chain').fill(ground.rpc);
        await page.getByLabel('Choose or drop the receipt').setInputFiles(file(`${name}.json`));
        await page.locator('.banner .word').waitFor();
        const word = await page.locator('.banner .word').innerText();
        const open = await page.locator('.stage.unverified .title').filter({ hasText: 'Unknown anchor' }).count();
        note('page', name, word === 'PROVEN' ? 'proven' : word === 'NOT PROVEN' ? 'unproven' : word, open);
      }
    },
    60_000,
  );

  test('by the client, whose receipts keep all of it', async () => {
    for (const [name, { json }] of receipts) {
      const service: typeof fetch = async () => Response.json(json);
      await using client = new Client({ url: ground.url, fetch: service });
      const receipt = await client.log('ledger').receipt(entry);
      expect(receipt.anchors).toEqual(json.anchors);
      const verdict = await verify({ proof: receipt, payload: utf8(CONTENT) }, { evm: [rpcSource(ground.rpc)] });
      note('client', name, verdict.result, openAnchors(verdict));
    }
  });

  test('out of a mirror, whose receipts keep all of it', async () => {
    for (const [name, anchorsOf] of CASES) {
      const chain = new MemoryChain();
      const folder = file(`mirror of ${name}`);
      let anchors: unknown[] = [];
      forgeMirror(folder, {
        logs: { demo: 3 },
        receivedAt: () => NEW_YEAR,
        rounds: [
          {
            closedAt: NEW_YEAR,
            sizes: { demo: 3 },
            anchors: (root) => {
              anchors = anchorsOf({ ...chain.anchor(root) });
              return anchors;
            },
          },
        ],
      });
      chain.mine();
      const payload = utf8('demo 1');
      const secret = { digest: sha256(payload), nonce: sha256(utf8('nonce of demo 1')).slice(0, 16) };
      const receipt = await composeReceipt(new FolderSource(folder), 'demo', 1, secret);
      expect(JSON.parse(JSON.stringify(parseReceipt(receipt)))).toMatchObject({ anchors });
      const verdict = await verify({ proof: receipt, payload }, { evm: [chain] });
      note('mirror', name, verdict.result, openAnchors(verdict));
    }
  });

  test('the table', () => {
    console.table(outcomes);
    expect(Object.keys(outcomes)).toHaveLength(CASES.length);
  });
});
