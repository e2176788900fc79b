import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { browserMissing, openWatched, tabTo, testBrowser, violations, type WatchedPage } from '../support/browser.ts';
import { type WebGround, webGround } from './ground.ts';

const HOSTILE = '<img src=x onerror="alert(1)"><script>alert(2)</script>\u202Egnp.exe\u0000';
const appended = z.object({ index: z.number() });

/** The element that has the focus. */
const focused = (page: Page): Locator => page.locator(':focus');

describe.skipIf(browserMissing !== null)('the pages of a service with keys', () => {
  let ground: WebGround;
  let browser: Browser;
  let shown: WatchedPage;
  let token: string;

  const send = (method: string, path: string, body?: string): Promise<Response> =>
    fetch(`${ground.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
      ...(body === undefined ? {} : { body }),
    });
  const append = async (log: string, body: string): Promise<number> =>
    appended.parse(await (await send('POST', `/v1/logs/${log}/entries`, body)).json()).index;

  beforeAll(async () => {
    [ground, browser] = await Promise.all([webGround({ open: false }), testBrowser()]);
    const { keys } = ground.foundation;
    token = (await keys.create('<b>the & operator</b>', ['admin'], null)).token;
    for (const log of ['app', 'quiet']) await send('PUT', `/v1/logs/${log}`);
    for (let i = 0; i < 60; i++) await append('app', `line ${i}`);
    shown = await openWatched(browser);
  });
  afterAll(async () => {
    await browser?.close();
    await ground?.[Symbol.asyncDispose]();
  });

  it('ask for a key, refuse a wrong one, and let in by keyboard alone', async () => {
    const { page } = shown;
    await page.goto(ground.url);
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    expect(await violations(page)).toEqual([]);
    await tabTo(page, page.getByLabel('API key'));
    await page.keyboard.type(`${token.slice(0, -4)}AAAA`);
    await page.keyboard.press('Enter');
    await page.getByText('is unknown or was revoked').waitFor();
    await page.keyboard.type(token);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'At a glance' }).waitFor();
    expect(await page.evaluate('document.cookie')).toBe('');
    expect(await page.evaluate('JSON.stringify([{ ...localStorage }, { ...sessionStorage }])')).toBe('[{},{}]');
    // The name of a key is anybody's.
    expect(await page.locator('.who').innerText()).toContain('<b>the & operator</b>');
  });

  it('show at a glance what is anchored and what is waiting', async () => {
    const { page } = shown;
    const row = (log: string): Locator =>
      page.getByRole('row').filter({ has: page.getByRole('link', { name: log, exact: true }) });
    await row('app').getByText(/ago/).waitFor({ timeout: 120_000 });
    expect(await row('app').innerText()).toContain('60');
    expect(await row('quiet').innerText()).toContain('empty');
    const round = page.locator('.timeline .round').last();
    expect(await round.innerText()).toMatch(/local chain block \d+\s+final\s+took \d+ s\s+[\d,]+ gwei/);
    expect(await violations(page)).toEqual([]);
  });

  it('make a source, show its address and secret once, and what became of requests to it', async () => {
    const { page } = shown;
    await page.getByRole('link', { name: 'Sources', exact: true }).click();
    await page.getByRole('heading', { name: 'Sources' }).waitFor();
    await page.getByLabel('Name').fill('repository');
    await page.getByLabel('Sender or scheme').selectOption('github');
    await page.getByLabel('Log', { exact: true }).selectOption('quiet');
    await page.getByRole('button', { name: 'Create the source' }).click();
    const told = page.locator('section', { has: page.getByRole('heading', { name: 'Enter this at the sender' }) });
    await told.waitFor();
    const [address = '', secret = ''] = await told.locator('.copyable').allInnerTexts();
    const path = /\/v1\/sources\/src_[0-9a-f]{32}/.exec(address)?.[0] ?? '';
    expect((await fetch(`${ground.url}${path}`, { method: 'POST', body: 'not signed' })).status).toBe(401);
    const row = page.getByRole('row').filter({ hasText: 'repository' });
    await row.getByText('signature-missing').waitFor();
    expect(await violations(page)).toEqual([]);
    await page.reload();
    await row.waitFor();
    expect(secret).toMatch(/[A-Za-z0-9_-]{43}/);
    expect(await page.locator('main').innerText()).not.toContain(secret.trim().split(/\s/)[0]);
    // Settings are what the scheme has, and the service says which of them is wrong.
    await page.getByLabel('Name').fill('topic');
    await page.getByLabel('Sender or scheme').selectOption('sns');
    expect(await page.getByLabel('The sender’s secret').count()).toBe(0);
    const topics = page.getByLabel('topicArns');
    const create = page.getByRole('button', { name: 'Create the source' });
    await create.click();
    await page.getByRole('alert').getByText('topicArns').waitFor();
    await topics.fill('arn:aws:s3:::bucket');
    await create.click();
    await page.getByRole('alert').getByText('topicArns.0: not the ARN of an SNS topic').waitFor();
    await topics.fill('arn:aws:sns:eu-west-1:123456789012:audit\narn:aws:sns:eu-west-1:123456789012:more\n');
    await page.getByText('More settings').click();
    await page.getByLabel('toleranceSeconds').fill('soon');
    await create.click();
    await page.getByRole('alert').getByText('toleranceSeconds: this is not a number').waitFor();
    await page.getByLabel('toleranceSeconds').fill('600');
    expect(await violations(page)).toEqual([]);
    await page.setViewportSize({ width: 360, height: 740 });
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360);
    await page.setViewportSize({ width: 1280, height: 720 });
    await create.click();
    const topic = page.getByRole('row').filter({ hasText: 'topic' });
    await topic.waitFor();
    expect(await (await send('GET', '/v1/sources/topic')).json()).toMatchObject({
      settings: { topicArns: [expect.stringMatching(/audit$/), expect.stringMatching(/more$/)], toleranceSeconds: 600 },
    });
    await topic.getByRole('button', { name: 'Remove topic' }).click();
    await topic.getByRole('button', { name: 'Really remove topic?' }).click();
    await topic.waitFor({ state: 'detached' });
    await row.getByRole('button', { name: 'Remove repository' }).click();
    await row.getByRole('button', { name: 'Really remove repository?' }).click();
    await page.getByText('There is no source yet.').waitFor();
    await page.getByRole('link', { name: 'Overview', exact: true }).click();
  });

  it('lead by keyboard to a stamp, which becomes final by itself, and to its receipt', async () => {
    const { page } = shown;
    await tabTo(page, page.getByRole('link', { name: 'Stamp', exact: true }));
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Stamp' }).waitFor();
    // Who does not see the page is told by the focus that it is another.
    expect(await focused(page).innerText()).toBe('Stamp');
    await tabTo(page, page.getByLabel('Or a text'));
    await page.keyboard.insertText(HOSTILE);
    await tabTo(page, page.getByRole('radio', { name: 'Only its digest' }));
    await page.keyboard.press('ArrowDown');
    await tabTo(page, page.getByLabel('Log', { exact: true }));
    await page.keyboard.type('stamps');
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Entry 0 of stamps' }).waitFor();
    await page.getByRole('status').getByText('final', { exact: true }).waitFor({ timeout: 120_000 });

    const download = page.waitForEvent('download');
    await tabTo(page, page.getByRole('link', { name: 'Download the receipt' }));
    await page.keyboard.press('Enter');
    const file = join(ground.folder, 'stamps.json');
    await (await download).saveAs(file);
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ entry: { index: 0 }, round: {} });
  });

  it('show a hostile payload as text', async () => {
    const { page } = shown;
    const content = page.locator('pre.text');
    await content.waitFor();
    expect(await content.innerText()).toBe(
      '<img src=x onerror="alert(1)"><script>alert(2)</script>⟨U+202E⟩gnp.exe⟨U+0000⟩',
    );
    expect(await page.locator('main img, main script').count()).toBe(0);
    expect(await violations(page)).toEqual([]);
  });

  it('show a log, page through it, and find by digest and by file', async () => {
    const { page } = shown;
    await page.goto(`${ground.url}/#/logs/app`);
    await page.getByRole('cell', { name: 'final' }).first().waitFor({ timeout: 120_000 });
    expect(await violations(page)).toEqual([]);
    expect(await page.getByRole('row').count()).toBe(51);
    await tabTo(page, page.getByRole('link', { name: 'Older' }));
    await page.keyboard.press('Enter');
    await page.getByText('0 to 9 of 60').waitFor();
    await writeFile(join(ground.folder, 'line'), 'line 7');
    await page.getByLabel(/Find a file/).setInputFiles(join(ground.folder, 'line'));
    await page.getByRole('heading', { name: 'Where this digest was logged' }).waitFor();
    expect(await page.getByRole('link', { name: 'Entry 7 of app' }).count()).toBe(1);
    expect(await violations(page)).toEqual([]);
    await tabTo(page, page.getByLabel('SHA-256 digest to find'));
    await page.keyboard.type('ab'.repeat(32));
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'No log here contains this digest' }).waitFor();
  });

  it('show the rounds, and one of them with all its hashes', async () => {
    const { page } = shown;
    await page.goto(`${ground.url}/#/rounds`);
    const round = page.getByRole('link', { name: 'Round 1', exact: true });
    await round.waitFor();
    expect(await violations(page)).toEqual([]);
    await tabTo(page, round);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Round 1', exact: true }).waitFor();
    await page.getByText('Hash of the block', { exact: true }).waitFor();
    expect(await page.locator('main').innerText()).toMatch(/Cost\s+[\d,]+ gwei \(\d+ wei\)/);
    expect(await violations(page)).toEqual([]);
  });

  it('treat unknown addresses as not found', async () => {
    const { page } = shown;
    for (const address of [
      '#/logs/%3Cimg%20src=x%20onerror=alert(1)%3E',
      '#/<img src=x>',
      '#/find/../../v1',
      '#/rounds/1e3',
    ]) {
      await page.goto(`${ground.url}/${address}`);
      await page.getByRole('heading', { name: 'There is nothing here' }).waitFor();
    }
    await page.goto(`${ground.url}/#/logs/nowhere`);
    await page.getByRole('alert').getByText('There is no log nowhere.').waitFor();
    await page.getByRole('button', { name: 'Make the log nowhere' }).click();
    await page.getByText('None yet.').waitFor();
    const answers = await page.request.get(`${ground.url}/some/where`, { headers: { accept: 'text/html,*/*;q=0.8' } });
    expect([answers.status(), (await answers.text()).includes('<h1>There is nothing here</h1>')]).toEqual([404, true]);
  });

  it('find entries of a log by text, field and time', async () => {
    const { page } = shown;
    await append('app', '{"user":{"name":"eve"}}');
    await page.goto(`${ground.url}/#/logs/app`);
    await page.getByText('Search this log').click();
    await page.getByLabel('Text', { exact: true }).fill('line 5');
    await page.getByRole('button', { name: 'Search' }).click();
    await page.getByRole('heading', { name: 'Entries found' }).waitFor();
    await expect.poll(() => page.getByRole('row').count()).toBe(12);
    expect(await violations(page)).toEqual([]);
    await page.getByLabel('Text', { exact: true }).fill('');
    await page.getByLabel('Field', { exact: true }).fill('/user/name=eve');
    await page.getByRole('button', { name: 'Search' }).click();
    await expect.poll(() => page.getByRole('row').count()).toBe(2);
    await page.getByLabel('To', { exact: true }).fill('2020-01-01T00:00:00');
    await page.getByRole('button', { name: 'Search' }).click();
    await page.getByText('No entry fits.').waitFor();
  });

  it('say that an entry was erased, and when', async () => {
    const { page } = shown;
    await send('DELETE', '/v1/logs/app/entries/3/payload');
    await page.goto(`${ground.url}/#/logs/app/3`);
    await page.getByText(/^This entry was erased on \d+ \w+ \d{4}, [\d:]{8} UTC\.$/).waitFor();
    expect(await violations(page)).toEqual([]);
  });

  it('show how long a log keeps its entries, and its legal holds as text', async () => {
    const { page } = shown;
    await page.goto(`${ground.url}/#/logs/quiet`);
    await page.getByText('for ever').waitFor();
    await send('PUT', '/v1/logs/quiet/retention', '{"period": "400d"}');
    await send('POST', '/v1/logs/quiet/holds', '{"from": "2025-01-01T00:00:00.000Z", "reason": "<i>case 4711</i>"}');
    await page.reload();
    await page.getByText('for 400d').waitFor();
    await page.getByText('<i>case 4711</i>: ').waitFor();
    expect(await violations(page)).toEqual([]);
  });

  it('fit a phone', async () => {
    const { page } = shown;
    await page.setViewportSize({ width: 360, height: 740 });
    for (const address of ['#/', '#/rounds', '#/rounds/1', '#/logs/app', '#/logs/stamps/0', '#/stamp']) {
      await page.goto(`${ground.url}/${address}`);
      await page.getByText('Loading…').waitFor({ state: 'detached' });
      expect([address, await page.evaluate('document.documentElement.scrollWidth')]).toEqual([address, 360]);
    }
    await page.setViewportSize({ width: 1280, height: 720 });
  });

  it('sign out', async () => {
    const { page, complaints } = shown;
    await tabTo(page, page.getByRole('button', { name: 'Sign out' }));
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await page.reload();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    // The browser notes by itself what was refused on purpose above.
    expect(complaints.filter((line) => !/status of 40[014] .*(session|nowhere|v1\/sources\))/.test(line))).toEqual([]);
  });

  it('show only its logs to a key of some logs', async () => {
    const { page, complaints } = await openWatched(browser);
    const { keys } = ground.foundation;
    const narrow = await keys.create('narrow', ['read'], ['app']);
    await page.goto(ground.url);
    await page.getByLabel('API key').fill(narrow.token);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('row').filter({ hasText: 'app' }).waitFor();
    expect(await page.getByRole('link', { name: 'stamps' }).count()).toBe(0);
    expect(await page.getByRole('link', { name: 'Rounds' }).count()).toBe(0);
    expect(await page.getByRole('link', { name: 'Stamp' }).count()).toBe(0);
    expect(complaints).toEqual([]);
  });
});
