import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readAuthorities } from '../../src/config/authorities.ts';
import { makeCa, pem } from '../support/tsa.ts';

const folder = mkdtempSync(join(tmpdir(), 'antequem-authorities-'));
writeFileSync(join(folder, 'ca.pem'), pem(makeCa().certificate));
writeFileSync(join(folder, 'empty.pem'), '');
afterAll(() => rmSync(folder, { recursive: true }));

const one = { name: 'one', url: 'https://tsa.example.org/tsr', caFile: 'ca.pem' };

function read(content: unknown): ReturnType<typeof readAuthorities> {
  const file = join(folder, 'authorities.json');
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return readAuthorities(file);
}

test('authorities are read with their certificates, relative to the file', () => {
  const { authorities, faults } = read([one, { ...one, name: 'two', policy: '1.2.3.4', pace: '15s' }]);
  expect(faults).toEqual([]);
  expect(authorities).toMatchObject([
    { name: 'one', policy: null, pace: 0, ephemeral: false },
    { name: 'two', policy: '1.2.3.4', pace: 15_000 },
  ]);
  expect(readAuthorities(undefined)).toEqual({ authorities: [], faults: [] });
});

test.each<[string, unknown, string]>([
  ['no JSON', 'x', 'cannot be read as JSON'],
  ['no list', {}, 'is not a list of authorities'],
  ['an empty list', [], 'is not a list of authorities'],
  ['too many', Array.from({ length: 9 }, (_, i) => ({ ...one, name: `a${i}` })), 'more than 8 authorities'],
  ['two of one name', [one, one], 'two authorities have the name one'],
  ['another name', [{ ...one, name: 'One' }], 'authority 1, name: not a name'],
  ['another scheme', [{ ...one, url: 'ftp://x' }], 'authority 1, url: not a URL'],
  ['a password', [{ ...one, url: 'https://u:secret@x/' }], 'authority 1, url: cannot have a user or password'],
  ['another policy', [{ ...one, policy: 'x' }], 'authority 1, policy: not an OID'],
  ['a long pace', [{ ...one, pace: '2h' }], 'authority 1, pace: more than an hour'],
  ['an unknown member', [{ ...one, key: 1 }], 'authority 1: there is no setting key'],
  ['no such file', [{ ...one, caFile: 'none.pem' }], 'authority 1, caFile: none.pem cannot be used'],
  ['a file without certificates', [{ ...one, caFile: 'empty.pem' }], 'there is no certificate'],
])('%s is a fault', (_, content, says) => {
  const { faults } = read(content);
  expect(faults.join()).toContain(says);
  expect(faults.join()).not.toContain('secret');
});
