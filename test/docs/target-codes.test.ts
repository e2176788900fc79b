import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** What only commands, verifiers and audits run. */
const ELSEWHERE = /(?:deploy|factory|anchor-events|anchor-contract|audit|verifier|rpc-source|signer|block|evidence)/;

test('docs/operations.md lists every code that a target can show', () => {
  const docs = readFileSync(`${ROOT}/docs/operations.md`, 'utf8');
  const files = globSync('src/evm/*.ts', { cwd: ROOT }).filter(
    (file) => !ELSEWHERE.test(file.slice('src/evm/'.length)),
  );
  const codes = new Set(
    files.flatMap((file) => {
      const text = readFileSync(`${ROOT}/${file}`, 'utf8');
      const thrown = text.matchAll(/(?:AntequemError|ForeignNonceError)\(\s*'([a-z-]+)'|super\('([a-z-]+)'/g);
      return [...thrown].flatMap((match) => match[1] ?? match[2] ?? []);
    }),
  );
  codes.delete('internal');
  expect(codes.size).toBeGreaterThan(20);
  expect([...codes].filter((code) => !docs.includes(`\`${code}\``))).toEqual([]);
});
