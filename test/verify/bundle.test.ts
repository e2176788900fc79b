import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';
import { expect, test } from 'vitest';
import * as z from 'zod/mini';
import { provenReceipt } from '../support/receipts.ts';

/** Bytes, compressed: of what every verification loads, and of that with the part for timestamp authorities. */
const LIMIT_BYTES = 65_000;
const WHOLE_LIMIT_BYTES = 90_000;
const exported = z.object({
  verifyReceipt: z.function({
    input: [z.unknown(), z.unknown()],
    output: z.promise(z.object({ result: z.string() })),
  }),
});

test('for a browser the verifier is one small file without Node built-ins, and what few receipts need beside it', async () => {
  const bundle = await rolldown({
    input: new URL('../../src/verify/verify.ts', import.meta.url).pathname,
    platform: 'browser',
    onLog: (level, log) => {
      if (level === 'warn') throw new Error(log.message);
    },
  });
  const { output } = await bundle.generate({ format: 'esm', minify: true });
  await bundle.close();
  const [entry, ...others] = output;
  const chunks = others.flatMap((other) => (other.type === 'chunk' ? [other] : []));
  expect(chunks).toHaveLength(others.length);
  const named = (file: string) => output.find(({ fileName }) => fileName === file);
  const loaded = new Set([entry.fileName]);
  for (const file of loaded) {
    const chunk = named(file);
    if (chunk?.type === 'chunk') for (const next of chunk.imports) loaded.add(next);
  }
  const sizeOf = (files: Iterable<string>): number => {
    const code = [...files].map((file) => {
      const chunk = named(file);
      return chunk?.type === 'chunk' ? chunk.code : '';
    });
    for (const each of code) expect(each).not.toMatch(/["'`]node:|\brequire\(/);
    return code.reduce((sum, each) => sum + gzipSync(each, { level: 9 }).length, 0);
  };
  const [first, whole] = [sizeOf(loaded), sizeOf(output.map(({ fileName }) => fileName))];
  console.log(`verifier: ${first} bytes compressed, ${whole} with the part for timestamp authorities`);
  expect(first).toBeLessThanOrEqual(LIMIT_BYTES);
  expect(whole).toBeLessThanOrEqual(WHOLE_LIMIT_BYTES);
  expect(whole).toBeGreaterThan(first);

  // Bundled code brings its own hashes: they must come to the same verdict.
  const folder = mkdtempSync(join(tmpdir(), 'antequem-bundle-'));
  for (const chunk of [entry, ...chunks]) writeFileSync(join(folder, chunk.fileName), chunk.code);
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const { verifyReceipt } = exported.parse(await import(pathToFileURL(join(folder, entry.fileName)).href));
  const { receipt, payload, log, local } = provenReceipt();
  const trust = { key: log.verifierKey, evm: [local] };
  expect((await verifyReceipt({ receipt, payload }, trust)).result).toBe('proven');
  expect((await verifyReceipt({ receipt, payload: payload.slice(1) }, trust)).result).toBe('refuted');
  rmSync(folder, { recursive: true });
});
