// How fast an audit reads a million entries, beside what hashing alone would take, in how little memory.

import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { sha256Into } from '#sha256';
import { auditDatabase } from '../support/audit.ts';
import { drafts, openInstance } from '../support/instance.ts';
import { testDatabase } from '../support/postgres.ts';

const ENTRIES = Number(process.env.AUDIT_ENTRIES ?? 1_000_000);
const BATCH = 10_000;

/** Entries a second if nothing but their hashes had to be made: payload, commitment, leaf and one node of the tree. */
function hashLimit(): number {
  const inputs = [200, 48, 74, 65].map((length) => new Uint8Array(randomBytes(length)));
  const out = Buffer.alloc(32);
  const count = 200_000;
  for (let i = 0; i < 20_000; i++) for (const input of inputs) sha256Into(input, out, 0);
  const began = performance.now();
  for (let i = 0; i < count; i++) for (const input of inputs) sha256Into(input, out, 0);
  return (count * 1_000) / (performance.now() - began);
}

test(`an audit of ${ENTRIES.toLocaleString('en')} entries`, async () => {
  const { url, drop } = await testDatabase();
  const instance = await openInstance(url);
  try {
    const log = await instance.makeLog('large');
    for (let at = 0; at < ENTRIES; at += BATCH) {
      const label = `${at}`.padEnd(190, '.');
      await instance.appender.append(log, { drafts: drafts(Math.min(BATCH, ENTRIES - at), label), idempotency: null });
      if (at % 100_000 === 0) await instance.closeRound();
    }
    await instance.closeRound();
    const began = performance.now();
    const { verdict, result, walked } = await auditDatabase(url);
    const whole = performance.now() - began;
    expect(verdict.result).toBe('unproven');
    expect(result.entries).toBeGreaterThanOrEqual(ENTRIES);
    const limit = hashLimit();
    const rate = (result.entries * 1_000) / walked;
    const text = (value: number): string => Math.round(value).toLocaleString('en');
    console.log(
      [
        'audit',
        `  entries of 200 bytes            ${text(result.entries)}`,
        `  read and verified               ${text(rate)} entries/s (${(walked / 1_000).toFixed(1)} s; with rounds and places ${(whole / 1_000).toFixed(1)} s)`,
        `  SHA-256 alone, four an entry    ${text(limit)} entries/s on one core in this run`,
        `  largest resident set            ${text(process.resourceUsage().maxRSS / 1_024)} MB, the test and its appends included`,
      ].join('\n'),
    );
    expect(rate).toBeGreaterThan(100_000);
  } finally {
    await instance.end();
    await drop();
  }
});
