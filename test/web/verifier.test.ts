import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { sha256 } from '#sha256';
import { BITCOIN } from '../../src/core/bitcoin-header.ts';
import { toHex, utf8 } from '../../src/core/bytes.ts';
import { serializeOtsFile } from '../../src/ots/file.ts';
import { serializeTimestamp } from '../../src/ots/serialization.ts';
import { TimestampBuilder } from '../../src/ots/timestamp.ts';
import { GENESIS, nextHeader, SECOND, serveChain } from '../bitcoin/chain-server.ts';
import { serveChain as serveNode } from '../cli/node.ts';
import { anchorIn, outcomeOf, sealBlock, transactionOf } from '../support/blocks.ts';
import { browserMissing, openWatched, tabTo, testBrowser, violations, type WatchedPage } from '../support/browser.ts';
import { genuineProofs } from '../support/genuine.ts';
import { MemoryBitcoin } from '../support/memory-bitcoin.ts';
import { mlDsaWitness } from '../support/ml-dsa-witness.ts';
import { paperMissing, paperText, scannedCode } from '../support/paper.ts';
import { provenReceipt } from '../support/receipts.ts';
import { makeAuthority, makeCa, makeToken, pem } from '../support/tsa.ts';
import { answerOtherSites, type WebGround, webGround } from './ground.ts';

const CONTENT = 'user 7 deleted invoice 1234\n';
const receiptForm = z.looseObject({
  entry: z.looseObject({ digest: z.string(), log: z.string() }),
  round: z.looseObject({ root: z.string() }),
  anchors: z.tuple([
    z.looseObject({
      transaction: z.string(),
      contract: z.string(),
      block: z.object({ hash: z.string(), number: z.number(), time: z.string() }),
    }),
  ]),
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
    await page.getByRole('status').getByText('final', { exact: true }).waitFor({ timeout: 120_000 });
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
    if (files.content !== undefined) {
      await page.getByLabel('Choose or drop the file').setInputFiles(path(files.content));
      // What stands below moves down when the digest appears: a click in that moment would miss.
      await page.locator('.digest').waitFor();
    }
    if (Object.keys(trust).length > 0) await page.getByText('Advanced:').click();
    for (const [label, value] of Object.entries(trust)) await page.getByLabel(label).fill(value);
    await page.getByLabel('Choose or drop the receipt').setInputFiles(path(files.proof));
    const word = page.locator('.banner .word');
    await word.waitFor();
    return word.innerText();
  }
  /** Each stage of the path with its status. */
  const stages = (page: Page): Promise<string[]> =>
    page
      .locator('.stage')
      .evaluateAll((all) =>
        all.map((each) => ['.title', '.chip'].map((part) => each.querySelector(part)?.textContent ?? '').join(', ')),
      );

  const NODE = 'A node of the chain';
  const HASH = /^Hash of local chain block/;
  const ESPLORA = 'A source for Bitcoin';
  const KEY = 'The key of the log';

  it("proves a valid receipt by node and by block hash, and the log's identity by its key", async () => {
    verifier = await openWatched(browser);
    const { page } = verifier;
    await answerOtherSites(page, ground.rpc);
    expect(await verdict({ content: 'invoice.txt', proof: 'receipt.json' }, { [NODE]: ground.rpc, [KEY]: key })).toBe(
      'PROVEN',
    );
    expect(await stages(page)).toEqual([
      'The file, verified',
      'Entry 0 of ledger, verified',
      'Whose log it is, verified',
      expect.stringMatching(/^Round \d+, verified$/),
      expect.stringMatching(/^local chain block \d+, verified$/),
    ]);
    const [anchor] = receiptForm.parse(JSON.parse(receipt)).anchors;
    expect(await page.locator('.banner h2').innerText()).toContain(anchor?.block.time.slice(11, 19));
    expect(await page.locator('.banner').innerText()).toContain('A test chain: this proves nothing to others.');
    expect(await verdict({ content: 'invoice.txt', proof: 'receipt.json' })).toBe('NOT PROVEN');
    await page.getByLabel(HASH).fill(`0x${'ab'.repeat(32)}`);
    await page.getByText('The receipt names another hash for this block.').waitFor();
    const doubt = page.getByRole('heading', { name: 'The hash that was entered does not fit the receipt' });
    await doubt.waitFor();
    const banner = await page.locator('.banner').innerText();
    expect(banner).toMatch(/^NOT PROVEN/);
    expect(banner).not.toContain('Nothing contradicts');
    for (const part of [
      'There are two explanations: another block was looked up, or the receipt does not fit the chain',
      'it may be false, or the chain was reorganized',
      'Until that is clear, it proves nothing.',
      'with the second explorer',
      'only a new receipt from the service helps, not one from the other party',
    ]) {
      expect(banner).toContain(part);
    }
    await page.getByLabel(HASH).fill(anchor?.block.hash ?? '');
    await page.getByText('Proven', { exact: true }).waitFor();
    expect(await page.locator('.banner').innerText()).toContain('is unchanged since that time');
    // A result does not outlive the hash that it rests on.
    await page.getByLabel(HASH).fill(`0x${'cd'.repeat(32)}`);
    await doubt.waitFor();
    await page.getByLabel(HASH).fill(anchor?.block.hash ?? '');
    await page.getByText('Proven', { exact: true }).waitFor();
    expect(await page.locator('.banner').innerText()).toContain('Whose log it is was not checked');
  });

  it('proves it from the page of the entry by pasting the hash of a block: no address typed, by keyboard alone', async () => {
    const [service, [anchor]] = [await openWatched(browser), receiptForm.parse(JSON.parse(receipt)).anchors];
    await service.page.goto(`${ground.url}/#/logs/ledger/0`);
    await service.page.getByText('Verify it').waitFor();
    const opened = service.page.context().waitForEvent('page');
    await tabTo(service.page, service.page.getByRole('link', { name: 'Verify it' }));
    await service.page.keyboard.press('Enter');
    const page = await opened;
    await page.getByText('Not proven', { exact: true }).waitFor();
    expect(await page.getByText('ledger-0.receipt.json').count()).toBeGreaterThan(0);
    // The log keeps the digest alone: the file is the user's.
    page.on('filechooser', () => {});
    await tabTo(page, page.getByLabel('Choose or drop the file'));
    const chooser = page.waitForEvent('filechooser');
    await page.keyboard.press('Enter');
    await (await chooser).setFiles(path('invoice.txt'));
    await tabTo(page, page.getByLabel(HASH));
    await page.keyboard.insertText(anchor?.block.hash ?? '');
    await page.getByText('Proven', { exact: true }).waitFor();
    expect(await page.locator('.banner h2').innerText()).toMatch(/^This file existed before /);
    expect((await stages(page))[0]).toBe('The file, verified');
    expect(service.complaints).toEqual([]);
  });

  it('without a source proves nothing and says what is missing; then a source is added', async () => {
    const { page } = verifier;
    expect(await verdict({ content: 'invoice.txt', proof: 'receipt.json' })).toBe('NOT PROVEN');
    expect((await stages(page)).at(-1)).toMatch(/^local chain block \d+, not verified$/);
    await page.getByText('Advanced:').click();
    await page.getByLabel(NODE).fill(ground.rpc);
    await page.getByRole('button', { name: 'Verify' }).click();
    await page.getByText('Proven', { exact: true }).waitFor();
  });

  it('refutes another file', async () => {
    await writeFile(path('other.txt'), `${CONTENT} `);
    expect(await verdict({ content: 'other.txt', proof: 'receipt.json' }, { [NODE]: ground.rpc })).toBe('REFUTED');
    expect((await stages(verifier.page))[0]).toBe('The file, refuted');
    const banner = await verifier.page.locator('.banner').innerText();
    const { entry } = receiptForm.parse(JSON.parse(receipt));
    for (const part of [
      'This file is not the one the receipt is about',
      `SHA-256 of other.txt, 29 bytes: ${toHex(sha256(utf8(`${CONTENT} `)))}`,
      `SHA-256 in the receipt: ${entry.digest}`,
      'One changed character is enough',
      'the file was saved anew, its line ends were changed, or it is another version',
      'The marks below concern the receipt itself. The file is still not the one.',
    ]) {
      expect(banner).toContain(part);
    }
    await verifier.page.getByText('No block can prove this').waitFor();
    expect(await verifier.page.getByLabel(HASH).count()).toBe(0);
    expect(await violations(verifier.page)).toEqual([]);
  });

  it('says whose clock a time is by, and that the earliest time is optional', async () => {
    await verdict({ content: 'invoice.txt', proof: 'receipt.json' });
    const path = await verifier.page.locator('.path').innerText();
    expect(path).toMatch(/received .* UTC by the operator's clock/);
    expect(path).toMatch(/closed .* UTC by the operator's clock/);
    expect(path).toMatch(/stamped .* UTC, by the receipt/);
    // The block of the local chain is the first: such a round may name none before it.
    expect(path).toMatch(
      /The earliest time of the round is not shown\. It is optional|there is no earliest time for it/,
    );
    expect(path).not.toContain('is not confirmed');
    expect(await verifier.page.locator('main').innerText()).toMatch(
      /SHA-256, a fingerprint of the bytes[\s\S]*A chain is a public record that many computers keep\./,
    );
  });

  it('proves nothing for a file whose line ends were changed, and says so', async () => {
    await writeFile(path('windows.txt'), CONTENT.replace('\n', '\r\n'));
    expect(await verdict({ content: 'windows.txt', proof: 'receipt.json' }, { [NODE]: ground.rpc })).toBe('NOT PROVEN');
    expect(await verifier.page.locator('.banner').innerText()).toContain('it matches with line ends of Unix (LF)');
  });

  it('takes files that were put in each other’s place', async () => {
    const { page } = verifier;
    await page.goto(ground.verifier);
    await page.getByLabel('Choose or drop the receipt').setInputFiles(path('invoice.txt'));
    await page.getByText('This is not a receipt').waitFor();
    await page.getByLabel('Choose or drop the file').setInputFiles(path('receipt.json'));
    await page.getByText('Not proven', { exact: true }).waitFor();
  });

  it('refutes no genuine proof, and says what to do', async () => {
    const { page } = verifier;
    const table: { proof: string; page: string; 'what to do': string }[] = [];
    for (const genuine of genuineProofs(Date.now())) {
      const node = genuine.node === undefined ? null : await serveNode(genuine.node);
      const bitcoin = genuine.bitcoin === undefined ? null : await serveChain(genuine.bitcoin.headers);
      for (const { url } of [node, bitcoin].filter((each) => each !== null)) await answerOtherSites(page, url);
      await Promise.all([writeFile(path('g.bin'), genuine.content), writeFile(path('g.proof'), genuine.proof)]);
      const trust = {
        ...(genuine.key === undefined ? {} : { [KEY]: genuine.key }),
        ...(genuine.policy === undefined ? {} : { 'A policy': genuine.policy }),
        ...(node === null ? {} : { [NODE]: node.url }),
        ...(bitcoin === null ? {} : { [ESPLORA]: `${bitcoin.url}/api` }),
      };
      expect([genuine.name, await verdict({ content: 'g.bin', proof: 'g.proof' }, trust)]).toEqual([
        genuine.name,
        'NOT PROVEN',
      ]);
      expect(await stages(page)).not.toContainEqual(expect.stringMatching(/, refuted$/));
      const [word = '', ...steps] = await page.locator('.banner p').allInnerTexts();
      expect(steps.length).toBeGreaterThan(0);
      table.push({ proof: genuine.name, page: word, 'what to do': steps.join(' ') });
      await node?.stop();
      await bitcoin?.[Symbol.asyncDispose]();
    }
    console.table(table);
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
    expect((await stages(verifier.page)).some((stage) => stage.endsWith(', refuted'))).toBe(true);
  });

  it('reports a file that is not a proof, and a source that is invalid or does not answer', async () => {
    const { page } = verifier;
    await page.goto(ground.verifier);
    await page.getByLabel('Choose or drop the receipt').setInputFiles(path('invoice.txt'));
    await page
      .getByText('not a receipt (JSON), an .ots file, a tlog-proof, a COSE receipt or a timestamp token')
      .waitFor();
    await page.getByText('Advanced:').click();
    await page.getByLabel(NODE).fill('not a url');
    await page.getByLabel('Choose or drop the receipt').setInputFiles(path('receipt.json'));
    await page.getByText('The address of a node begins with http').waitFor();
    await page.getByLabel('Blocks that make final').fill('none');
    await page.getByRole('button', { name: 'Verify', exact: true }).click();
    await page.getByText('Enter a whole number of blocks from 1 on.').waitFor();
    // Nothing listens there.
    expect(await verdict({ content: 'invoice.txt', proof: 'receipt.json' }, { [NODE]: 'http://127.0.0.1:9' })).toBe(
      'NOT PROVEN',
    );
    await page.getByText('could not be asked').first().waitFor();
  });

  it('opens each stage to its bytes and is accessible in both themes', async () => {
    const { page } = verifier;
    await verdict({ content: 'invoice.txt', proof: 'receipt.json' }, { [NODE]: ground.rpc });
    for (const summary of await page.locator('.stage summary').all()) await summary.click();
    const good = receiptForm.parse(JSON.parse(receipt));
    for (const hex of [good.entry.digest, good.round.root, good.anchors[0]?.block.hash ?? '']) {
      expect(await page.locator('.path').innerText()).toContain(hex);
    }
    expect(await violations(page)).toEqual([]);
    await page.setViewportSize({ width: 360, height: 740 });
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
    await page.setViewportSize({ width: 1280, height: 720 });
  });

  it.skipIf(paperMissing !== null)('prints a certificate of what is proven, else a report, on one page', async () => {
    const { page } = verifier;
    const print = async (): Promise<Buffer> => {
      const pdf = await page.pdf({ preferCSSPageSize: true });
      expect(/\/Count (\d+)/.exec(pdf.toString('latin1'))?.[1]).toBe('1');
      expect(paperText(pdf)).not.toContain('`');
      return pdf;
    };
    const { entry, round, anchors } = receiptForm.parse(JSON.parse(receipt));
    const [{ block, transaction, contract }] = anchors;
    // Without the file: a report about the digest in the receipt, that nobody can take for a certificate about a file.
    expect(await verdict({ proof: 'receipt.json' })).toBe('NOT PROVEN');
    await page.getByLabel(HASH).fill(block.hash);
    await page.getByText('Proven for a digest', { exact: true }).waitFor();
    const expectReport = async (items: readonly string[]): Promise<void> => {
      const paper = await print();
      for (const item of items) expect(paperText(paper)).toContain(item);
      expect(paperText(paper)).not.toMatch(/Certificate|is unchanged since/);
      expect(scannedCode(paper)).toBe(null);
    };
    await page.getByRole('button', { name: 'Print as a report' }).waitFor();
    await expectReport([
      'Report: no file was checked',
      'No file was checked. The digest in the receipt existed before ',
      `Add the file, so that it is compared with the SHA-256 digest in the receipt: ${entry.digest}`,
      'File none was checked',
      `SHA-256 in the receipt ${entry.digest}`,
    ]);
    await page.getByText('Not a file:').click();
    await page.getByLabel('Text or digest').fill(entry.digest);
    await page.getByRole('button', { name: 'Use this text' }).click();
    await page.getByRole('heading', { name: 'Only a digest was compared, no file was read' }).waitFor();
    await expectReport([
      'Report: only a digest was compared, no file was read',
      'File none was read, only a digest was compared',
      `Digest (SHA-256) ${entry.digest}`,
    ]);

    expect(await verdict({ content: 'other.txt', proof: 'receipt.json' })).toBe('REFUTED');
    await expectReport([
      'Verification report',
      'File other.txt, 29 bytes',
      `SHA-256 of the file ${toHex(sha256(utf8(`${CONTENT} `)))}`,
      `SHA-256 in the receipt ${entry.digest}`,
      'One changed character is enough',
    ]);
    expect(paperText(await print())).not.toContain('Confirmed');

    expect(await verdict({ content: 'invoice.txt', proof: 'receipt.json' })).toBe('NOT PROVEN');
    const report = await print();
    expect(paperText(report)).toContain('Verification report');
    expect(paperText(report)).not.toContain('Certificate');
    expect(scannedCode(report)).toBe(null);

    await page.getByLabel(HASH).fill(block.hash);
    await page.getByText('Proven', { exact: true }).waitFor();
    const certificate = await print();
    const text = paperText(certificate);
    for (const item of [
      'Certificate (test chain)',
      'A test chain: this proves nothing to others.',
      'File invoice.txt, 28 bytes',
      `Digest (SHA-256) ${entry.digest}`,
      'The file “invoice.txt” existed before ',
      `Root of the round ${round.root}`,
      'Anchor: local chain',
      `local chain block ${block.number} (eip155:31337), stamped `,
      `Hash of the block ${block.hash}`,
      'Confirmed the hash was entered by whoever made this check, who says that they looked it up themselves',
      `Transaction ${transaction}`,
      `Contract ${contract}`,
      "UTC by the operator's clock",
      'The file that was read in this check is unchanged since that time.',
      'This is not proven who wrote it, whether it is true, and when it was first written.',
      'Final Whether the block is final was not checked, since it was entered by hand.',
      'Tolerance None: the time that a block of local chain is stamped with counts as it is.',
      `Its SHA-256 ${toHex(sha256(utf8(receipt)))}`,
      'QR code: the SHA-256 digest, the block and its hash',
      'Page Antequem verifier 0.1.0',
      'docs/verification.md of the package antequem 0.1.0',
      'A digest (SHA-256) is a fingerprint of the bytes of a file.',
      'Anyone can repeat this without asking the person who made it.',
      'look the block up with two explorers and paste its hash',
    ]) {
      expect(text).toContain(item);
    }
    await page.getByLabel(HASH).fill(`0x${'ab'.repeat(32)}`);
    await page.getByRole('heading', { name: 'The hash that was entered does not fit the receipt' }).waitFor();
    await expectReport([
      'another block was looked up, or the receipt does not fit',
      'Confirmed no: the hash of another',
    ]);
    expect(scannedCode(certificate)).toBe(`SHA-256 ${entry.digest}\neip155:31337 block ${block.number} ${block.hash}`);
  });

  it('asks for a block of a public chain by its number, and certifies what two explorers confirm', async () => {
    const { page } = verifier;
    const { round, log, payload } = provenReceipt();
    const time = Date.UTC(2026, 10, 29, 11, 2, 13);
    const block = sealBlock([transactionOf(round.root, { chainId: 1 })], [outcomeOf(round.root)], {
      number: 23_456_789,
      time,
    });
    const ethereum = { ...anchorIn(block, 0), chain: 'eip155:1' };
    const bitcoin = new MemoryBitcoin(BITCOIN, 'first', 900_000).anchor(round.root);
    await writeFile(path('contract.pdf'), payload);
    await writeFile(path('public.json'), JSON.stringify(round.receipt(log, 5, [ethereum, bitcoin])));
    expect(await verdict({ content: 'contract.pdf', proof: 'public.json' })).toBe('NOT PROVEN');
    const addresses = (part: string): Promise<(string | null)[]> =>
      page
        .locator(`.block:has-text("${part}") a`)
        .evaluateAll((links) => links.map((link) => link.getAttribute('href')));
    expect(await addresses('Ethereum block 23,456,789')).toEqual([
      'https://etherscan.io/block/23456789',
      'https://eth.blockscout.com/block/23456789',
    ]);
    expect(await addresses('Bitcoin block 900,020')).toEqual([
      'https://mempool.space/block/900020',
      'https://blockstream.info/block-height/900020',
    ]);
    // The hash has to come from elsewhere: unless it is asked for, the page does not show it.
    expect(await page.locator('main').innerText()).not.toContain(block.hash);
    await page.getByLabel('Hash of Ethereum block 23,456,789').fill(block.hash);
    await page.getByText('Proven', { exact: true }).waitFor();
    expect(await violations(page)).toEqual([]);
    if (paperMissing !== null) return;
    const pdf = await page.pdf({ preferCSSPageSize: true });
    const paper = paperText(pdf);
    for (const item of [
      'Certificate of existence',
      'The file “contract.pdf” existed before 29 November 2026, 11:02:13 UTC',
      `Root of the round ${toHex(round.root)}`,
      'Block Ethereum block 23,456,789 (eip155:1), stamped 29 November 2026, 11:02:13 UTC',
      `Hash of the block ${block.hash}`,
      'Confirmed the hash was entered by whoever made this check, who says that they looked it up themselves',
      `Transaction ${ethereum.transaction}`,
      `Contract ${ethereum.contract}`,
      'Look it up https://etherscan.io/block/23456789 and https://eth.blockscout.com/block/23456789',
      'Block Bitcoin block 900,020 (bip122:000000000019d6689c085ae165831e93), stamped ',
      'Confirmed not in this check',
      'Look it up https://mempool.space/block/900020 and https://blockstream.info/block-height/900020',
    ]) {
      expect(paper).toContain(item);
    }
    expect(scannedCode(pdf)).toBe(`SHA-256 ${toHex(sha256(payload))}\neip155:1 block 23456789 ${block.hash}`);
  });

  it('proves a receipt of three kinds of anchors by the CA of a timestamp authority', async () => {
    const { page } = verifier;
    const { round, log, payload } = provenReceipt();
    const block = sealBlock([transactionOf(round.root, { chainId: 1 })], [outcomeOf(round.root)], {
      number: 23_456_789,
      time: Date.UTC(2026, 10, 29, 11, 2, 13),
    });
    const ethereum = { ...anchorIn(block, 0), chain: 'eip155:1' };
    const builder = new TimestampBuilder(round.root);
    const merkleRoot = builder.apply({ kind: 'sha256' }).attest({ kind: 'bitcoin', height: 900_000 }).message;
    const stone = nextHeader(SECOND, merkleRoot);
    new DataView(stone.buffer).setUint32(68, Date.UTC(2026, 10, 29) / 1_000, true);
    const headers = [GENESIS, SECOND, stone];
    for (let i = 0; i < 6; i++) headers.push(nextHeader(headers.at(-1) ?? SECOND, sha256(merkleRoot)));
    const bitcoin = {
      type: 'opentimestamps' as const,
      status: 'confirmed' as const,
      timestamp: Buffer.from(serializeTimestamp(builder.finish())).toString('base64'),
      blocks: [{ chain: BITCOIN, height: 900_000, header: toHex(stone), time: '2026-11-29T00:00:00.000Z' }],
    };
    const ca = makeCa();
    const token = makeToken({ signer: makeAuthority(ca), digest: round.root, time: '20260701000101Z' });
    const stamp = {
      type: 'rfc3161' as const,
      status: 'stamped' as const,
      authority: 'CN=Test TSA',
      time: '2026-07-01T00:01:01.000Z',
      accuracy: null,
      token: Buffer.from(token).toString('base64'),
    };
    await writeFile(path('contract.pdf'), payload);
    await writeFile(path('stamped.json'), JSON.stringify(round.receipt(log, 5, [ethereum, bitcoin, stamp])));
    const files = { content: 'contract.pdf', proof: 'stamped.json' };
    expect(await verdict(files)).toBe('NOT PROVEN');
    expect(await verdict(files, { 'A timestamp authority': pem(ca.certificate) })).toBe('PROVEN');
    expect(await page.locator('.banner').innerText()).toMatch(
      /existed before\s1\s*July\s2026,\s*00:02:01.*By CN=Test TSA, stamped 1 July 2026, 00:01:01 UTC\..* 60 seconds off/s,
    );
    expect(await stages(page)).toContain('CN=Test TSA, verified');

    // All there is: both blocks are confirmed, and a witness has cosigned by ML-DSA-44.
    const receipt = round.receipt(log, 5, [ethereum, bitcoin, stamp]);
    const { vkey, cosigned } = mlDsaWitness('witness.example/ml-dsa');
    await writeFile(path('stamped.json'), JSON.stringify({ ...receipt, checkpoint: cosigned(receipt.checkpoint) }));
    const policy = `log ${log.verifierKey}\nwitness W ${vkey}\nquorum W\n`;
    await using esplora = await serveChain(headers, null, 899_998);
    await answerOtherSites(page, esplora.url);
    const trust = {
      'A timestamp authority': pem(ca.certificate),
      'A policy': policy,
      [ESPLORA]: `${esplora.url}/api`,
    };
    expect(await verdict(files, trust)).toBe('PROVEN');
    await page.getByLabel('Hash of Ethereum block 23,456,789').fill(block.hash);
    await expect
      .poll(() => stages(page))
      .toEqual([
        'The file, verified',
        'Entry 5 of payments, verified',
        'Whose log it is, verified',
        'Round 7, verified',
        'Ethereum block 23,456,789, verified',
        'CN=Test TSA, verified',
        expect.stringMatching(/^Bitcoin block [\d,]+, verified$/),
      ]);
    const uncosigned = { ...trust, 'A policy': policy.replace(vkey, mlDsaWitness('witness.example/other').vkey) };
    await verdict(files, uncosigned);
    expect((await stages(page))[2]).toMatch(/^Whose log it is, (?!verified)/);

    // The key of the log, too, may be one of ML-DSA-44.
    const second = mlDsaWitness(log.origin, { time: 0 });
    const signed = second.cosigned(receipt.checkpoint);
    for (const [checkpoint, vkey, status] of [
      [signed, second.vkey, 'verified'],
      [signed, mlDsaWitness(log.origin, { seed: 'another' }).vkey, 'not checked'],
      [receipt.checkpoint, second.vkey, 'not checked'],
      [signed.replace(/.{9}\n$/, (end) => (end.startsWith('A') ? 'B' : 'A') + end.slice(1)), second.vkey, 'refuted'],
    ] as const) {
      await writeFile(path('stamped.json'), JSON.stringify({ ...receipt, checkpoint }));
      await verdict(files, { [KEY]: vkey });
      expect([(await stages(page))[2], status]).toEqual([`Whose log it is, ${status}`, status]);
    }
    await writeFile(path('stamped.json'), JSON.stringify(round.receipt(log, 5, [ethereum, bitcoin, stamp])));
    const other = pem(makeCa({ subject: 'Other CA' }).certificate);
    expect(await verdict(files, { 'A timestamp authority': other })).toBe('NOT PROVEN');
    expect(await violations(page)).toEqual([]);
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
    // Two hours after the stamp of the block.
    expect(await page.locator('.banner').innerText()).toMatch(
      /existed before\s9\s*January\s2009,\s*04:54:25.*By Bitcoin block 2, stamped 9 January 2009, 02:54:25 UTC\..* 2 hours off/s,
    );
    expect(await stages(page)).toEqual(['The file, verified', 'Operations, verified', 'Bitcoin, verified']);
    expect(await verdict({ content: 'other.txt', proof: 'invoice.ots' }, source)).toBe('REFUTED');
    expect(await verdict({ content: 'invoice.txt', proof: 'invoice.ots' })).toBe('NOT PROVEN');
    // No hash is asked for that could not help: the file has none.
    expect(await page.getByLabel(/^Hash of/).count()).toBe(0);
    await page.getByLabel('Header of Bitcoin block 2').fill(toHex(headers[1] ?? SECOND));
    await page.getByText('This header has another merkle root.').waitFor();

    const proof = await fetch(`${ground.url}/v1/logs/ledger/entries/0/receipt.tlog-proof`);
    await writeFile(path('invoice.tlog-proof'), await proof.text());
    expect(await verdict({ content: 'invoice.txt', proof: 'invoice.tlog-proof' }, { [KEY]: key })).toBe('NOT PROVEN');
    expect((await stages(page)).slice(0, 3)).toEqual([
      'The file, verified',
      'Entry 0 of ledger, verified',
      'Whose log it is, verified',
    ]);
    expect(await page.locator('.banner').innerText()).toContain('but not its time');

    // A COSE receipt needs a second entry.
    await fetch(`${ground.url}/v1/logs/ledger/entries`, { method: 'POST', body: 'another line' });
    const cose = await fetch(`${ground.url}/v1/logs/ledger/entries/0/receipt.cose?entry=true`);
    await writeFile(path('invoice.cose'), new Uint8Array(await cose.arrayBuffer()));
    const described = await fetch(`${ground.url}/v1/logs/ledger`);
    const [coseKey = ''] = z.object({ coseKeys: z.array(z.string()) }).parse(await described.json()).coseKeys;
    expect(await verdict({ content: 'invoice.txt', proof: 'invoice.cose' }, { [KEY]: coseKey })).toBe('NOT PROVEN');
    expect((await stages(page)).slice(0, 3)).toEqual([
      'The file, verified',
      'Entry 0 of ledger, verified',
      'Whose log it is, verified',
    ]);
    expect(await verdict({ content: 'other.txt', proof: 'invoice.cose' }, { [KEY]: coseKey })).toBe('REFUTED');
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
    const [anchor] = receiptForm.parse(JSON.parse(receipt)).anchors;
    await tabTo(page, page.getByLabel(HASH));
    await page.keyboard.insertText(anchor?.block.hash ?? '');
    await page.getByText('Proven', { exact: true }).waitFor();
    await tabTo(page, page.locator('.stage summary').nth(1));
    await page.keyboard.press('Enter');
    await page.getByText('0 of 1, counted from 0').waitFor();
    await page.keyboard.press('Enter');
    expect(await page.locator('.stage[open]').count()).toBe(0);
    await tabTo(page, page.getByRole('button', { name: 'Print as a certificate' }));
  });

  it('shows a hostile receipt as text', async () => {
    const { page } = verifier;
    const hostile = JSON.parse(receipt);
    hostile.checkpoint = `<script>alert(1)</script><img src=x onerror=alert(1)>\u202E${hostile.checkpoint}`;
    await writeFile(path('<b>hostile.json'), JSON.stringify(hostile));
    expect(await verdict({ content: 'invoice.txt', proof: '<b>hostile.json' })).toBe('REFUTED');
    for (const summary of await page.locator('.stage summary').all()) await summary.click();
    expect(await page.locator('main img, main script, main b b').count()).toBe(0);
    const text = await page.locator('main').innerText();
    expect(text).toContain('<b>hostile.json');
    expect(text).toContain('<script>alert(1)</script><img src=x onerror=alert(1)>⟨U+202E⟩');
  });

  it('logged no errors except unreachable sources', () => {
    expect(verifier.complaints.filter((line) => !line.includes('127.0.0.1:9/'))).toEqual([]);
  });
});
