import { describe, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { utf8 } from '../../src/core/bytes.ts';
import { parseCheckpoint } from '../../src/core/checkpoint.ts';
import { formatVerifierKey, parseVerifierKey } from '../../src/core/note.ts';
import { checkLogName, checkServiceOrigin, logId, logOrigin } from '../../src/core/origin.ts';

const code = (value: string): unknown => expect.objectContaining({ name: 'FormatError', code: value });

describe('log names', () => {
  test.each(['a', '0', 'demo', 'a.b_c-d', '_system', 'x'.repeat(63), '1--', 'a..'])('%j', (name) => {
    expect(() => checkLogName(name)).not.toThrow();
  });

  test.each([
    '',
    '.',
    '..',
    '-a',
    '.a',
    '_a',
    '_',
    '_systems',
    '_System',
    'A',
    'a/b',
    'a b',
    'a\n',
    'a\u0000',
    'ä',
    'a+b',
    'x'.repeat(64),
  ])('%j is none', (name) => {
    expect(() => checkLogName(name)).toThrow(code('log-name-invalid'));
  });
});

describe('service origins', () => {
  test.each(['antequem.local', 'log.example.org', 'log.example.org:8443', 'a', 'example.org/time/log', 'a-b.c'])(
    '%j',
    (origin) => {
      expect(() => checkServiceOrigin(origin)).not.toThrow();
    },
  );

  test.each([
    '',
    'https://log.example.org',
    'Log.example.org',
    'log.example.org/',
    '-a',
    'a-',
    'a.',
    '.a',
    'a:0',
    'a:',
    'a:123456',
    'a b',
    'a\n',
    'a+b',
    'a//b',
    'a/..',
    'a/../b',
    'a/.',
    'x'.repeat(256),
    `a/${'x'.repeat(65)}`,
  ])('%j is none', (origin) => {
    expect(() => checkServiceOrigin(origin)).toThrow(code('origin-invalid'));
  });
});

test('an origin names log and service, its hash is the log id', () => {
  expect(logOrigin('log.example.org', 'demo')).toBe('log.example.org/logs/demo');
  expect(logId('log.example.org/logs/demo')).toEqual(sha256(utf8('log.example.org/logs/demo')));
  expect(() => logOrigin('log.example.org', '../x')).toThrow(code('log-name-invalid'));
  expect(() => logOrigin('log example', 'x')).toThrow(code('origin-invalid'));
});

test('the longest allowed origin can be read back from checkpoints and verifier keys', () => {
  const host = 'x'.repeat(253);
  const long = `${host}:65535${`/${'y'.repeat(64)}`.repeat(4)}`;
  let taken = 0;
  for (let length = 1; length <= long.length; length++) {
    const service = long.slice(0, length);
    try {
      checkServiceOrigin(service);
    } catch {
      continue;
    }
    taken++;
    const origin = logOrigin(service, 'z'.repeat(63));
    expect(parseCheckpoint(`${origin}\n0\n${'A'.repeat(43)}=\n`).origin).toBe(origin);
    expect(parseVerifierKey(formatVerifierKey(origin, new Uint8Array(32))).name).toBe(origin);
  }
  expect(taken).toBeGreaterThan(200);
});
