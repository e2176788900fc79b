import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { sha256 } from '#sha256';
import { utf8 } from '../../src/core/bytes.ts';
import { serializeOtsFile } from '../../src/ots/file.ts';
import { TimestampBuilder } from '../../src/ots/timestamp.ts';
import { GENESIS, nextHeader, SECOND, serveChain } from '../bitcoin/chain-server.ts';
import { browserMissing, openWatched, tabTo, testBrowser, violations, type WatchedPage } from '../support/browser.ts';
import { answerOtherSites, type WebGround, webGround } from './ground.ts';

const CONTENT = 'user 7 deleted invoice 1234\n';
const receiptForm = z.looseObject({
  entry: z.looseObject({ digest: z.string(), log: z.string() }),
  round: z.looseObject({ root: z.string() }),
  anchors: z
    .array(z.looseObject({ block: z.object({ hash: z.string(), number: z.number(), time: z.string() }) }))
    .min(1),
});
const logForm = z.object({ verifierKey: z.string() });

describe.skipIf(browserMissing !== null)('from the stamp page to a verdict on the page from disk', () => {
  let ground: WebGround;
  let browser: Browser;
  let verifier: WatchedPage;
  /** The receipt's text, as the service's page hands it out. */
  let receipt: string;
  let key: string;

  const path = (name: string): string => join(ground.folder, name);

  beforeAll(async () => {
    [ground, browser] = await Promise.all([webGround(), testBrowser()]);
    await writeFile(path('invoice.txt'), CONTENT);
  });
  afterAll(async () => {
    await browser?.close();
    await ground?.[Symbol.asyncDispose]();
  });

  it('stamps a file, waits until its receipt is final and hands it out', async () => {
    const { page, complaints } = await openWatched(browser);
    await page.goto(`${ground.url}/#/stamp`);
    await page.getByLabel('Choose or drop a file').setInputFiles(path('invoice.txt'));
    await page.getByLabel('Log', { exact: true }).fill('ledger');
    await page.getByRole('button', { name: 'Stamp' }).click();
    await page.getByRole('heading', { name: 'Entry 0 of ledger' }).waitFor();
    // Without anybody doing anything.
    await page.getByRole('status').getByText('final', { exact: true }).waitFor({ timeout: 40_000 });
    expect(await page.getByText(/Anchored to local chain/).count()).toBe(1);

    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Download the receipt' }).click();
    await (await download).saveAs(path('receipt.json'));
    receipt = await readFile(path('receipt.json'), 'utf8');
    key = logForm.parse(await (await fetch(`${ground.url}/v1/logs/ledger`)).json()).verifierKey;
    expect(complaints).toEqual([]);
  });

  /** The page from disk with these files, verified with these sources; the verdict in a word. */
  async function verdict(
    files: { content?: string; proof: string },
    trust: Record<string, string> = {},
  ): Promise<string> {
    const { page } = verifier;
    await page.goto(ground.verifier);
    if (files.content !== undefined)
      await page.getByLabel('Choose or drop the file').setInputFiles(path(files.content));
    for (const [label, value] of Object.entries(trust)) await page.getByLabel(label).fill(value);
    await page.getByLabel('Choose or drop the receipt').setInputFiles(path(files.proof));
    const word = page.locator('.banner .word');
    await word.waitFor();
    return word.innerText();
  }
  const steps = (page: Page): Promise<string[]> =>
    page.locator('.strip a').evaluateAll((links) => links.map(({ textContent }) => textContent ?? ''));

  const NODE = 'A node of the chain';
  const HASH = 'Or the hash of the block';
  const ESPLORA = 'A source for Bitcoin';
  const KEY = 'The key of the log';

  it("proves a valid receipt by node and by block hash, and the log's identity by its key", async () => {
    verifier = await openWatched(browser);
    const { page } = verifier;
    await answerOtherSites(page, ground.rpc);
    expect(await verdict({ content: 'invoice.txt', proof: 'receipt.json' }, { [NODE]: ground.rpc, [KEY]: key })).toBe(
      'PROVEN',
    );
    expect(await steps(page)).toEqual([
      'Entry, verified',
      'Tree, verified',
      'Checkpoint, verified',
      expect.stringMatching(/^Round \d+, verified$/),
      'local chain, verified',
    ]);
    const [anchor] = receiptForm.parse(JSON.parse(receipt)).anchors;
    expect(await page.locator('.banner h2').innerText()).toContain(anchor?.block.time.slice(11, 19));
    expect(await verdict({ content: 'invoice.txt', proof: 'receipt.json' }, { [HASH]: anchor?.block.hash ?? '' })).toBe(
      'PROVEN',
    );
    expect(await page.getByText("The log's identity was not checked").count()).toBe(1);
  });

  it('without a source proves nothing and says what is missing; then a source is added', async () => {
    const { page } = verifier;
    expect(await verdict({ content: 'invoice.txt', proof: 'receipt.json' })).toBe('NOT PROVEN');
    expect((await steps(page)).at(-1)).toBe('local chain, not verified');
    await page.getByLabel(NODE).fill(ground.rpc);
    await page.getByRole('button', { name: 'Verify' }).click();
    await page.getByText('Proven', { exact: true }).waitFor();
  });

  it('refutes another file', async () => {
    await writeFile(path('other.txt'), `${CONTENT} `);
    expect(await verdict({ content: 'other.txt', proof: 'receipt.json' }, { [NODE]: ground.rpc })).toBe('REFUTED');
    expect((await steps(verifier.page))[0]).toBe('Entry, refuted');
    expect(await verifier.page.locator('.banner h2').innerText()).toContain('the receipt is about something else');
  });

  it.each<[string, (good: z.infer<typeof receiptForm>) => [string, string]]>([
    ['the digest', ({ entry }) => [entry.digest, `${'0'.repeat(8)}${entry.digest.slice(8)}`]],
    ['the root of the round', ({ round }) => [round.root, `${'0'.repeat(8)}${round.root.slice(8)}`]],
    ['the log', ({ entry }) => [entry.log, 'web.test/logs/another']],
    ['the hash of the block', ({ anchors }) => [anchors[0]?.block.hash ?? '', `0x${'ab'.repeat(32)}`]],
    ['the time of the block', ({ anchors }) => [anchors[0]?.block.time ?? '', '2020-01-01T00:00:00.000Z']],
    ['its form', () => ['"inclusion"', '"inclusions"']],
  ])('refutes a receipt with %s changed', async (_, change) => {
    const [from, to] = change(receiptForm.parse(JSON.parse(receipt)));
    await writeFile(path('spoilt.json'), receipt.replaceAll(from, to));
    expect(receipt).toContain(from);
    expect(await verdict({ content: 'invoice.txt', proof: 'spoilt.json' }, { [NODE]: ground.rpc })).toBe('REFUTED');
    expect((await steps(verifier.page)).some((step) => step.endsWith(', refuted'))).toBe(true);
  });

  it('reports a file that is not a proof, and a source that is invalid or does not answer', async () => {
    const { page } = verifier;
    await page.goto(ground.verifier);
    await page.getByLabel('Choose or drop the receipt').setInputFiles(path('invoice.txt'));
    await page.getByText('not a receipt (JSON), an .ots file or a tlog-proof').waitFor();
    await page.getByLabel(NODE).fill('not a url');
    await page.getByLabel('Choose or drop the receipt').setInputFiles(path('receipt.json'));
    await page.getByText('The address of a node begins with http').waitFor();
    // Nothing listens there.
    expect(await verdict({ content: 'invoice.txt', proof: 'receipt.json' }, { [NODE]: 'http://127.0.0.1:9' })).toBe(
      'NOT PROVEN',
    );
    await page.getByText('could not be asked').first().waitFor();
  });

  it('opens each step to its bytes, prints on one page and is accessible in both themes', async () => {
    const { page } = verifier;
    await verdict({ content: 'invoice.txt', proof: 'receipt.json' }, { [NODE]: ground.rpc });
    for (const link of await page.locator('.strip a').all()) await link.click();
    const good = receiptForm.parse(JSON.parse(receipt));
    for (const hex of [good.entry.digest, good.round.root, good.anchors[0]?.block.hash ?? '']) {
      expect(await page.locator('.steps').innerText()).toContain(hex);
    }
    expect(await violations(page)).toEqual([]);
    const pdf = (await page.pdf({ preferCSSPageSize: true })).toString('latin1');
    expect(/\/Count (\d+)/.exec(pdf)?.[1]).toBe('1');
    await page.setViewportSize({ width: 360, height: 740 });
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
    await page.setViewportSize({ width: 1280, height: 720 });
  });

  it('proves an .ots file by Esplora, refutes it for another file, and says what a tlog-proof is', async () => {
    const { page } = verifier;
    const builder = new TimestampBuilder(sha256(utf8(CONTENT)));
    const merkleRoot = builder.apply({ kind: 'sha256' }).attest({ kind: 'bitcoin', height: 2 }).message;
    await writeFile(path('invoice.ots'), serializeOtsFile({ hash: 'sha256', timestamp: builder.finish() }));
    const headers = [GENESIS, SECOND, nextHeader(SECOND, merkleRoot)];
    for (let i = 0; i < 6; i++) headers.push(nextHeader(headers.at(-1) ?? SECOND, sha256(merkleRoot)));
    await using esplora = await serveChain(headers);
    await answerOtherSites(page, esplora.url);
    const source = { [ESPLORA]: `${esplora.url}/api` };
    expect(await verdict({ content: 'invoice.txt', proof: 'invoice.ots' }, source)).toBe('PROVEN');
    expect(await page.locator('.banner').innerText()).toMatch(
      /existed before\s9\s*January\s2009.*By block 2 of Bitcoin\./s,
    );
    expect(await steps(page)).toEqual(['File, verified', 'Operations, verified', 'Bitcoin, verified']);
    expect(await verdict({ content: 'other.txt', proof: 'invoice.ots' }, source)).toBe('REFUTED');
    expect(await verdict({ content: 'invoice.txt', proof: 'invoice.ots' })).toBe('NOT PROVEN');

    const proof = await fetch(`${ground.url}/v1/logs/ledger/entries/0/receipt.tlog-proof`);
    await writeFile(path('invoice.tlog-proof'), await proof.text());
    expect(await verdict({ content: 'invoice.txt', proof: 'invoice.tlog-proof' }, { [KEY]: key })).toBe('NOT PROVEN');
    expect((await steps(page)).slice(0, 3)).toEqual(['Entry, verified', 'Tree, verified', 'Checkpoint, verified']);
    expect(await page.locator('.banner').innerText()).toContain('but not its time');
  });

  it('works without a mouse', async () => {
    const { page } = verifier;
    // Playwright takes choosers over from now on, not from the first one it waits for.
    page.on('filechooser', () => {});
    await page.goto(ground.verifier);
    for (const [label, file] of [
      ['Choose or drop the file', 'invoice.txt'],
      ['Choose or drop the receipt', 'receipt.json'],
    ] as const) {
      await tabTo(page, page.getByLabel(label));
      const chooser = page.waitForEvent('filechooser');
      await page.keyboard.press('Enter');
      await (await chooser).setFiles(path(file));
    }
    await tabTo(page, page.getByLabel(NODE));
    await page.keyboard.type(ground.rpc);
    await page.keyboard.press('Enter');
    await page.getByText('Proven', { exact: true }).waitFor();
    await tabTo(page, page.locator('.strip a').nth(1));
    await page.keyboard.press('Enter');
    await page.getByText('0 of 1, counted from 0').waitFor();
    // The focus has come along to the step, which closes again.
    await page.keyboard.press('Enter');
    expect(await page.locator('.step[open]').count()).toBe(0);
    await tabTo(page, page.getByRole('button', { name: 'Print as a certificate' }));
  });

  it('shows a hostile receipt as text', async () => {
    const { page } = verifier;
    const hostile = JSON.parse(receipt);
    hostile.checkpoint = `<script>alert(1)</script><img src=x onerror=alert(1)>\u202E${hostile.checkpoint}`;
    await writeFile(path('<b>hostile.json'), JSON.stringify(hostile));
    expect(await verdict({ content: 'invoice.txt', proof: '<b>hostile.json' })).toBe('REFUTED');
    for (const summary of await page.locator('.step summary').all()) await summary.click();
    expect(await page.locator('main img, main script, main b b').count()).toBe(0);
    const text = await page.locator('main').innerText();
    expect(text).toContain('<b>hostile.json');
    expect(text).toContain('<script>alert(1)</script><img src=x onerror=alert(1)>⟨U+202E⟩');
  });

  it('logged no errors except unreachable sources', () => {
    expect(verifier.complaints.filter((line) => !line.includes('127.0.0.1:9/'))).toEqual([]);
  });
});
