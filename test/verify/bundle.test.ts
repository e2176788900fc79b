import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';
import { expect, test } from 'vitest';
import * as z from 'zod/mini';
import { provenReceipt } from '../support/receipts.ts';

const LIMIT = 60_000;
const exported = z.object({
  verifyReceipt: z.function({
    input: [z.unknown(), z.unknown()],
    output: z.promise(z.object({ result: z.string() })),
  }),
});

test('for a browser the verifier is one small file without Node built-ins, and works', async () => {
  const bundle = await rolldown({
    input: new URL('../../src/verify/verify.ts', import.meta.url).pathname,
    platform: 'browser',
    onLog: (level, log) => {
      if (level === 'warn') throw new Error(log.message);
    },
  });
  const { output } = await bundle.generate({ format: 'esm', minify: true });
  await bundle.close();
  expect(output).toHaveLength(1);
  const { code, imports, dynamicImports } = output[0];
  expect([...imports, ...dynamicImports]).toEqual([]);
  expect(code).not.toMatch(/["'`]node:|\brequire\(/);
  const size = gzipSync(code, { level: 9 }).length;
  console.log(`verifier: ${code.length} bytes minified, ${size} compressed`);
  expect(size).toBeLessThanOrEqual(LIMIT);

  // Bundled code brings its own hashes: they must come to the same verdict.
  const loaded = exported.parse(await import(`data:text/javascript;base64,${Buffer.from(code).toString('base64')}`));
  const { receipt, payload, log, local } = provenReceipt();
  const trust = { key: log.verifierKey, evm: [local] };
  expect((await loaded.verifyReceipt({ receipt, payload }, trust)).result).toBe('proven');
  expect((await loaded.verifyReceipt({ receipt, payload: payload.slice(1) }, trust)).result).toBe('refuted');
});
