import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { progressLine } from '../../src/cli/progress.ts';
import { run } from './command.ts';

const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

test('the bin runs', async () => {
  expect(await run(['--version'])).toMatchObject({ code: 0, stdout: `${manifest.version}\n` });
  expect(await run(['no-such-command'])).toMatchObject({ code: 1, stdout: '' });
  expect(await run(['--url'])).toMatchObject({ code: 1, stderr: expect.stringContaining('argument missing') });
  expect(await run(['help', 'verify'])).toMatchObject({ code: 0, stdout: expect.stringContaining('--bitcoin') });
});

test('the bin is plain JavaScript that Nodes from 12 on parse: nothing newer than ES2019 and import()', () => {
  const bin = readFileSync(fileURLToPath(new URL('../../src/cli/antequem.js', import.meta.url)), 'utf8');
  expect(bin.startsWith('#!/usr/bin/env node\n')).toBe(true);
  expect(bin).not.toMatch(/\?\?|\?\.|^import |^await |#[a-z]+;|\d_\d/m);
});

test('faults of the configuration and of the database are told without a stack, one on a line', async () => {
  const none = { DATABASE_URL: '', ORIGIN: '', LOG_SEED_FILE: '' };
  const wrong = await run(['keys', 'list'], { env: { ...none, PORT: 'x' } });
  expect([wrong.code, wrong.stderr.split('\n')]).toEqual([
    1,
    [
      'error: the configuration has 4 faults:',
      '  PORT: not a port: 0 to 65535, 0 for any free one',
      '  ORIGIN: must be set',
      '  DATABASE_URL: must be set',
      '  LOG_SEED_FILE: must be set',
      '',
    ],
  ]);
  for (const database of [
    'postgres://nobody@127.0.0.1:9/none',
    'postgres://nobody@localhost:9/none',
    'postgres://x@a.invalid/x',
  ]) {
    const { code, stderr } = await run(['anchors'], { env: { DATABASE_URL: database } });
    expect([database, code, stderr]).toEqual([database, 1, expect.stringMatching(/^error: the database [^\n]+\n$/)]);
  }
});

test('the progress line: share, bytes, entries, rate, time left', () => {
  expect(progressLine({ bytes: 5e6, entries: 20_000, total: 2e7, elapsed: 2000 })).toBe(
    '[######------------------]  25 %  5.0 MB  20,000 entries  10,000 entries/s  6 s left',
  );
  expect(progressLine({ bytes: 500, entries: 1, total: null, elapsed: 1000 })).toBe('0.5 kB  1 entry  1 entry/s');
});
