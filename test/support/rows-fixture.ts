// A database that the last release with a row for each entry made: test/fixtures/rows.sql.gz is a dump of it, rows.json what
// that release said of it.

import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { expect } from 'vitest';
import { sha256 } from '#sha256';
import { toHex } from '../../src/core/bytes.ts';
import type { Log } from '../../src/log/log.ts';
import { auditDatabase } from './audit.ts';
import { type Instance, openInstance } from './instance.ts';
import { recompute } from './recompute.ts';

const fixture = (name: string): Buffer => readFileSync(new URL(`../fixtures/${name}`, import.meta.url));
/** The statements that make it. */
export const ROWS_SQL = gunzipSync(fixture('rows.sql.gz')).toString();
/** What was said of it. */
export const ROWS_SAID: {
  heads: Record<string, { size: number; root: string }>;
  bundles: Record<string, string>;
  receipts: { entry: { log: string; index: number } }[];
} = JSON.parse(fixture('rows.json').toString());

/** All that the release before said of it, and the audit. */
export async function expectAsBefore(url: string): Promise<void> {
  const one = await openInstance(url);
  try {
    for (const [name, head] of Object.entries(ROWS_SAID.heads)) {
      const log = await logOf(one, name);
      const { size, root } = await one.registry.head(log);
      expect({ size, root: toHex(root) }).toEqual(head);
      await recompute(one.database, log);
      for (let index = 0; index * 256 < size; index++) {
        const bundle = await one.entries.bundle(log, index, Math.min(256, size - index * 256));
        expect(toHex(sha256(bundle))).toBe(ROWS_SAID.bundles[`${name}/${index}`]);
      }
    }
    for (const receipt of ROWS_SAID.receipts) {
      const { log, index } = receipt.entry;
      expect(await one.receipts.compose(await logOf(one, log.slice(log.lastIndexOf('/') + 1)), index)).toEqual(receipt);
    }
    expect((await auditDatabase(url)).findings).toEqual([]);
  } finally {
    await one.end();
  }
}

export async function logOf(one: Instance, name: string): Promise<Log> {
  const log = name === '_system' ? one.registry.system : await one.registry.find(name);
  if (log === null) throw new Error(`no log ${name}`);
  return log;
}
