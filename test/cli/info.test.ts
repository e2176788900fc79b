import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { example, examplePath } from '../ots/examples.ts';
import { run } from './command.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'antequem-info-'));
});
afterAll(() => rm(folder, { recursive: true }));

test('the tree of an .ots file', async () => {
  const { code, stdout, stderr } = await run(['info', examplePath('hello-world.txt.ots')]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const lines = stdout.trimEnd().split('\n');
  expect(lines[0]).toBe('sha256 digest of the file: 03ba204e50d126e4674c005e04d82e84c21366780af1f43bd54a37816b6ab340');
  expect(lines[1]).toBe('ripemd160');
  expect(lines.at(-1)).toBe(
    'Bitcoin block 358391, merkle root 8a1b66ecb7cbd07d8139a7e7d7f2c41aab1f5009b8364aaf61d03ad245e47e00',
  );
});

test('as JSON: every attestation with the path to it', async () => {
  const { code, stdout } = await run(['info', examplePath('known-and-unknown-notary.txt.ots'), '--json']);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    hash: 'sha256',
    digest: 'd288b2ee212b01e3e5f6d333df3a4d53f292cc3f07b09013c0b40c8e7dcb9c03',
    attestations: [
      {
        kind: 'pending',
        uri: 'https://bob.btc.calendar.opentimestamps.org',
        message: '57e89f38173f127e0e8832929232858ca0b7241229d535b22073144a1a433b5aaa5d6cf473c6dc4d0cbc29f0',
        operations: [
          'append 46d842bd5d8377e0f42041bec9bda667',
          'sha256',
          'append 332c572f9c4b8d5db9d99758d48fff34',
          'sha256',
          'prepend 57e89f38',
          'append 73c6dc4d0cbc29f0',
        ],
      },
      expect.objectContaining({ kind: 'unknown', tag: '0102030405060708', payload: '78'.repeat(46) }),
    ],
  });
});

test('a broken .ots file: the place of the fault, on one line', async () => {
  const broken = join(folder, 'broken.ots');
  await writeFile(broken, example('hello-world.txt.ots').subarray(0, 100));
  const { code, stdout, stderr } = await run(['info', broken]);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(/^error: byte 100: the bytes end where .+ has \d+ more\n$/);
  expect((await run(['info', '-'], { input: 'no proof' })).stderr).toMatch(/^error: byte 0: not an .ots file/);
  expect((await run(['info', join(folder, 'missing.ots')])).stderr).toMatch(/^error: cannot read .+: /);
  expect((await run(['info', '/dev/zero'])).stderr).toMatch(/^error: byte 262144: /);
});
