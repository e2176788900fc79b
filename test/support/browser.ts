import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { type Browser, type BrowserContextOptions, chromium, type Locator, type Page } from 'playwright-core';

/** Debian's. */
const CHROMIUM = '/usr/bin/chromium';
const found = existsSync(CHROMIUM);

/** Null where tests in a browser can run, else why they are left out. In CI nothing is left out. */
export const browserMissing: string | null =
  found || process.env.CI === 'true' ? null : `${CHROMIUM} is not there (apt-get install chromium)`;

if (browserMissing !== null) console.warn(`Tests in a browser are skipped: ${browserMissing}`);

/** A page that keeps on record what it should not say. */
export interface WatchedPage {
  readonly page: Page;
  /** Errors and warnings of the console, exceptions, violations of the policy. */
  readonly complaints: readonly string[];
}

/** Chromium without a window. `await using` ends it. */
export async function testBrowser(): Promise<Browser> {
  // As root, in containers and CI, its sandbox does not start.
  return chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--enable-precise-memory-info'] });
}

/** A page in a context of its own. */
export async function openWatched(browser: Browser, options: BrowserContextOptions = {}): Promise<WatchedPage> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(`${message.text()} (${message.location().url})`);
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  return { page, complaints };
}

/** Goes on by Tab to an element, as somebody without a mouse gets there. */
export async function tabTo(page: Page, target: Locator): Promise<void> {
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press('Tab');
    const there =
      (await target.count()) === 1 && (await target.evaluate((it) => it === it.ownerDocument.activeElement));
    if (there) return;
  }
  throw new Error(`the keyboard does not reach ${target}`);
}

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** What axe finds wrong with the page as it is now, in both themes: one line for each. */
export async function violations(page: Page): Promise<string[]> {
  const source = await readFile(axe, 'utf8');
  const found: string[] = [];
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    // Not by a script element, which the page's policy would refuse.
    await page.evaluate(`${source}; undefined`);
    const result: unknown = await page.evaluate(
      `axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations.flatMap(({ id, nodes }) => nodes.map((node) => id + ': ' + node.html + ' ' + node.any.map(({ message }) => message).join(' '))))`,
    );
    if (!Array.isArray(result)) throw new Error('axe did not answer');
    found.push(...result.map((line) => `${colorScheme}: ${line}`));
  }
  return found;
}
