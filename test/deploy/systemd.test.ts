// The systemd units, checked by systemd's own tools, and their settings by ours.

import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mistypedSettings, readConfig } from '../../src/config.ts';

const files = new URL('../../deploy/systemd/', import.meta.url);
const found = spawnSync('systemd-analyze', ['--version']).status === 0;
// In CI a missing systemd fails the test.
const missing = !found && process.env.CI !== 'true';

/** Of 100. */
const MOST_EXPOSURE = '20';

let folder: string;
let unit: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'antequem-units-'));
  unit = await readFile(new URL('antequem@.service', files), 'utf8');
});
afterAll(() => rm(folder, { recursive: true }));

/** What a tool of systemd says of a unit: nothing if all is well. */
async function said(text: string, ...args: readonly string[]): Promise<readonly [number | null, string]> {
  const file = join(folder, 'antequem@api.service');
  // The command is not installed here.
  await writeFile(file, text.replace('/usr/bin/antequem', '/bin/true'));
  const { status, stdout, stderr } = spawnSync('systemd-analyze', [...args, file], { encoding: 'utf8' });
  return [status, stdout + stderr];
}

test.skipIf(missing)('systemd-analyze takes the unit, and would not take any', async () => {
  expect(await said(unit, 'verify')).toEqual([0, '']);
  const [, complaint] = await said(unit.replace('ProtectHome=', 'ProtectHouse='), 'verify');
  expect(complaint).toContain('ProtectHouse');
});

test.skipIf(missing)('what the process could reach is little, and any loss of that shows', async () => {
  const security = ['security', '--offline=true', '--no-pager', `--threshold=${MOST_EXPOSURE}`];
  expect((await said(unit, ...security))[0]).toBe(0);
  expect(
    (await said(unit.replace('ProtectSystem=strict\n', '').replace('CapabilityBoundingSet=\n', ''), ...security))[0],
  ).not.toBe(0);
});

test('the settings are ours', async () => {
  const set = parseEnv(await readFile(new URL('antequem.env', files), 'utf8'));
  for (const [, pairs = ''] of unit.matchAll(/^Environment=(.*)$/gm)) {
    Object.assign(
      set,
      parseEnv(pairs.replaceAll(' ', '\n').replaceAll('%d', '/run/credentials/x').replaceAll('%S', '/var/lib')),
    );
  }
  expect(mistypedSettings(set)).toEqual([]);
  for (const ROLES of ['api', 'worker']) {
    expect(readConfig({ ...set, ROLES })).toMatchObject({
      healthPort: 3964,
      logSeedFile: '/run/credentials/x/log-seed',
      guardFile: '/var/lib/antequem/published',
      trustedProxies: ['loopback'],
    });
  }
});
