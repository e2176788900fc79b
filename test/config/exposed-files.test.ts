import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { exposedFiles } from '../../src/start/exposed-files.ts';

test('each secret that others can read is named, by its file alone', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'antequem-secrets-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [seed, key, token] = ['seed', 'key', 'token'].map((name) => join(folder, name));
  for (const file of [seed, key, token]) writeFileSync(file ?? '', 'a-secret', { mode: 0o600 });
  const config = readConfig({
    DATABASE_URL: 'postgres://127.0.0.1/x',
    ORIGIN: 'log.example.org',
    LOG_SEED_FILE: seed,
    EVM_RPC_URLS: 'http://127.0.0.1:8545',
    EVM_CHAIN_ID: '1',
    EVM_PRIVATE_KEY_FILE: key,
    METRICS_TOKEN_FILE: token,
  });
  expect(await exposedFiles(config)).toEqual([]);
  chmodSync(seed ?? '', 0o640);
  expect(await exposedFiles(config)).toEqual([]);
  for (const file of [seed, key, token]) chmodSync(file ?? '', 0o644);
  expect(await exposedFiles(config)).toEqual(
    [seed, key, token].map(
      (file) => `${file} holds a secret that every user of this machine can read: chmod 600 ${file}`,
    ),
  );
  rmSync(key ?? '');
  expect(await exposedFiles(config)).toHaveLength(2);
});
