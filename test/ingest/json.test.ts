import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import { canonicalJson, canonicalOf, readJson } from '../../src/ingest/json.ts';

const canonical = (text: string): string => canonicalJson(readJson(utf8(text)));

describe('canonical JSON', () => {
  it('is that of RFC 8785, section 3.2.2 and 3.2.3', () => {
    const input = `{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\"\\/",
      "literals": [null, true, false]
    }`;
    expect(canonical(input)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
        // The one departure: a number that no double is stays as it was written.
        .replace('333333333.3333333', '333333333.33333329'),
    );
    const names =
      '{"\\u20ac":"Euro","\\r":"CR","\\ufb33":"Dalet","1":"One","\\ud83d\\ude00":"Emoji","\\u0080":"Control","\\u00f6":"O"}';
    expect([...canonical(names).matchAll(/:"(\w+)"/g)].map(([, name]) => name)).toEqual([
      'CR',
      'One',
      'Control',
      'O',
      'Euro',
      'Emoji',
      'Dalet',
    ]);
  });

  it.each([
    ['9007199254740993', '9007199254740993'],
    ['-9223372036854775808', '-9223372036854775808'],
    ['18446744073709551615', '18446744073709551615'],
    ['0.1', '0.1'],
    ['0.10', '0.1'],
    ['1.0', '1'],
    ['100e-2', '1'],
    ['1e2', '100'],
    ['1e400', '1e400'],
    ['1e999999999999999999', '1e999999999999999999'],
    ['-0', '0'],
    ['-0.0e5', '0'],
    ['1e21', '1e+21'],
    ['0.1000000000000000055511151231257827', '0.1000000000000000055511151231257827'],
  ])('writes the number %s as %s', (text, expected) => {
    expect(canonical(text)).toBe(expected);
  });

  it('reads what JSON.parse reads, and says the same', () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom(0, 2, '\t'), (text, space) => {
        const value: unknown = JSON.parse(text);
        expect(JSON.parse(canonical(JSON.stringify(value, null, space)))).toEqual(value);
        expect(canonical(text)).toBe(canonicalOf(value));
        expect(canonical(canonical(text))).toBe(canonical(text));
      }),
      { numRuns: 300 },
    );
  });

  it('takes what JSON.parse takes and nothing else', () => {
    const scrap = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"',
      '1',
      '-',
      '.',
      'e',
      '01',
      'true',
      'nul',
      ' ',
      '\\',
      '\n',
      '\u0001',
      '\ufeff',
    );
    fc.assert(
      fc.property(
        fc.array(scrap, { maxLength: 7 }).map((parts) => parts.join('')),
        (text) => {
          const takes = (read: () => unknown): boolean => {
            try {
              read();
              return true;
            } catch {
              return false;
            }
          };
          const twice = /"a".*"a"/s.test(text);
          const ours = takes(() => canonical(text));
          if (ours || !twice) expect([text, ours]).toEqual([text, takes(() => JSON.parse(text))]);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it.each<[string, string | Uint8Array, string]>([
    ['two members of one name', '{"a":1,"b":2,"a":1}', 'member-twice'],
    ['two spellings of one name', '{"a":1,"\\u0061":1}', 'member-twice'],
    ['no UTF-8', Uint8Array.from([0x22, 0xff, 0x22]), 'not-utf8'],
    ['a byte order mark', '\ufeff{}', 'not-json'],
    ['nothing', '', 'not-json'],
    ['depth', '['.repeat(100_000), 'too-deep'],
    ['an unknown escape', '"\\x"', 'not-json'],
    ['more than a million values', `[${'0,'.repeat(1_000_000)}0]`, 'too-many-values'],
    ['more than 16 MiB', `"${'x'.repeat(16 << 20)}"`, 'too-large'],
  ])('refuses %s', (_, text, reason) => {
    const bytes = typeof text === 'string' ? utf8(text) : text;
    expect(() => readJson(bytes)).toThrow(expect.objectContaining({ reason }));
  });

  it('takes a time that grows with the length, whatever is written', () => {
    const zeros = '0'.repeat(2_000_000);
    expect(canonical(`{"a":1${zeros}1}`)).toBe(`{"a":1${zeros}1}`);
    expect(canonical(`[0.${zeros}10${zeros}]`)).toBe(`[0.${zeros}10${zeros}]`);
    expect(canonical(`[1.5${zeros},1${zeros}e-2000000]`)).toBe('[1.5,1]');
    const nested = `${'{"a":[],"b":{},"c":[1,'.repeat(60)}"${'x'.repeat(2_000_000)}"${']}'.repeat(60)}`;
    expect(canonical(nested)).toBe(nested);
  });

  it('has no use for what objects inherit', () => {
    expect(canonical('{"__proto__":{"a":1},"constructor":2}')).toBe('{"__proto__":{"a":1},"constructor":2}');
  });
});
