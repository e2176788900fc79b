import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat, utf8 } from '../../src/core/bytes.ts';
import { formatWitnessKey } from '../../src/core/cosignature.ts';
import { formatVerifierKey } from '../../src/core/note.ts';
import { isReached, parsePolicy, readPolicy } from '../../src/core/policy.ts';

const bytes = (name: string): Uint8Array => new Uint8Array(createHash('sha256').update(name).digest());
const witnessKey = (name: string): string => formatWitnessKey(`witness.example/${name}`, bytes(name));
const logKey = (name: string): string => formatVerifierKey(`log.example/${name}`, bytes(name));
const [A, B] = [witnessKey('A'), witnessKey('B')];

/** The faults of a policy. */
const faults = (text: string): readonly string[] => readPolicy(utf8(text)).faults;

// The example of C2SP tlog-policy, with keys.
const EXAMPLE = `log ${logKey('one')}

witness X1 ${witnessKey('X1')}
witness X2 ${witnessKey('X2')}
witness X3 ${witnessKey('X3')}
group X-witnesses 2 X1 X2 X3

witness Y1 ${witnessKey('Y1')}
witness Y2 ${witnessKey('Y2')}
witness Y3 ${witnessKey('Y3')}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
`;

describe('the example of the specification', () => {
  const policy = parsePolicy(utf8(EXAMPLE));

  test('has its log and witnesses', () => {
    expect(policy.logs.map(({ key, url }) => [key.name, url])).toEqual([['log.example/one', null]]);
    expect(policy.witnesses.map(({ name }) => name)).toEqual(['X1', 'X2', 'X3', 'Y1', 'Y2', 'Y3']);
  });

  test('requires two of the first and one of the second', () =>
    fc.assert(
      fc.property(fc.subarray(policy.witnesses.map(({ name }) => name)), (names) => {
        const [x, y] = ['X', 'Y'].map((letter) => names.filter((name) => name.startsWith(letter)).length);
        expect(isReached(policy.quorum, ({ name }) => names.includes(name))).toBe((x ?? 0) >= 2 && (y ?? 0) >= 1);
      }),
    ));
});

test('the quorum may be one witness, or none at all', () => {
  const one = parsePolicy(utf8(`witness A ${A} https://a.example/w\nquorum A\n`));
  expect(one.witnesses[0]?.url).toBe('https://a.example/w');
  expect([isReached(one.quorum, () => true), isReached(one.quorum, () => false)]).toEqual([true, false]);
  expect(isReached(parsePolicy(utf8('quorum none\n')).quorum, () => false)).toBe(true);
});

test('tabs, spaces, empty lines, comments, names of any language, no newline at the end', () => {
  const text = `# a comment\n\t # another # one\n\n \t witness\t  Äpfel   ${A} \n group 組 any Äpfel\nquorum 組`;
  expect(parsePolicy(utf8(text)).witnesses.map(({ name }) => name)).toEqual(['Äpfel']);
  // Names are bytes: nothing is normalised, a Kelvin sign is no K.
  expect(faults(`witness K ${A}\nquorum \u212a\n`)).toEqual(['line 2: "\u212a" was not defined on a line before']);
});

test('as many as the specification asks for', () => {
  const names = Array.from({ length: 32 }, (_, i) => `w${i}`);
  const lines = [
    ...names.map((name) => `log ${logKey(name)}`),
    ...names.map((name) => `witness ${name} ${witnessKey(name)}`),
    ...names.map((name) => `group g${name} any ${name}`),
  ];
  const policy = parsePolicy(utf8([...lines, 'quorum gw31', ''].join('\n')));
  expect(isReached(policy.quorum, ({ name }) => name === 'w31')).toBe(true);
  expect([policy.logs.length, policy.witnesses.length]).toEqual([32, 32]);
  expect(faults([...lines, `witness more ${witnessKey('more')}`, 'quorum none', ''].join('\n'))).toEqual([
    'line 97: more than 32 witnesses',
  ]);
});

test.each([
  ['', ['there is no quorum line; write `quorum none` to need no witness']],
  ['quorum none\nquorum none\n', ['line 2: a second quorum, after that of line 1']],
  [
    'quorum\n',
    ['line 1: not of the form: quorum <name>', 'there is no quorum line; write `quorum none` to need no witness'],
  ],
  [
    'quorum A B\n',
    ['line 1: not of the form: quorum <name>', 'there is no quorum line; write `quorum none` to need no witness'],
  ],
  [`quorum A\nwitness A ${A}\n`, ['line 1: "A" was not defined on a line before']],
  ['quorum none\nfoo bar\n', ['line 2: begins with "foo", not with log, witness, group or quorum']],
  [
    'quorum none\r\n',
    ['line 1: a control character', 'there is no quorum line; write `quorum none` to need no witness'],
  ],
  ['quorum none\n\u0000\n', ['line 2: a control character']],
  [`witness A\nquorum none\n`, ['line 1: not of the form: witness <name> <vkey> [<url>]']],
  [`witness A ${A} u more\nquorum none\n`, ['line 1: not of the form: witness <name> <vkey> [<url>]']],
  [`witness none ${A}\nquorum none\n`, ['line 1: the name none means no witness at all: choose another']],
  [`witness A ${A}\nwitness A ${B}\nquorum A\n`, ['line 2: the name "A" was given before']],
  [`witness A ${A}\nwitness B ${A}\nquorum A\n`, ['line 2: the key of this witness was listed before']],
  [
    `witness A ${A}\nwitness B ${formatWitnessKey('other.example', bytes('A'))}\nquorum A\n`,
    ['line 2: the key of this witness was listed before'],
  ],
  [`log ${logKey('1')}\nlog ${logKey('1')}\nquorum none\n`, ['line 2: the key of this log was listed before']],
  [`log ${A}\nquorum none\n`, ['line 1: the verifier key is not that of a log: Ed25519 (0x01) or ML-DSA-44 (0x06)']],
  [
    `witness A ${logKey('1')}\nquorum none\n`,
    ['line 1: the key is that of a log (0x01), not of a witness (0x04 or 0x06)'],
  ],
  [`witness A ${A.slice(0, -2)}\nquorum none\n`, [expect.stringMatching(/^line 1: not padded base64/)]],
  [
    `witness A ${A}\ngroup G 2 A\nquorum G\n`,
    ['line 2: needs "2" of 1: write all, any, or a number from 1 to 1', 'line 3: "G" was not defined on a line before'],
  ],
  [`witness A ${A}\ngroup G 0 A\nquorum none\n`, ['line 2: needs "0" of 1: write all, any, or a number from 1 to 1']],
  [`witness A ${A}\ngroup G 01 A\nquorum none\n`, ['line 2: needs "01" of 1: write all, any, or a number from 1 to 1']],
  [
    `witness A ${A}\ngroup G some A\nquorum none\n`,
    ['line 2: needs "some" of 1: write all, any, or a number from 1 to 1'],
  ],
  ['group G all\nquorum none\n', ['line 1: not of the form: group <name> all|any|<number> <member>…']],
  ['group G all none\nquorum none\n', ['line 1: "none" was not defined on a line before']],
  ['group G all G\nquorum none\n', ['line 1: "G" was not defined on a line before']],
  [
    `witness A ${A}\ngroup G all A A\nquorum G\n`,
    ['line 2: "A" is a member of a group already', 'line 3: "G" was not defined on a line before'],
  ],
  [`witness A ${A}\ngroup G all A\ngroup H all A\nquorum G\n`, ['line 3: "A" is a member of a group already']],
])('%j', (text, expected) => {
  expect(faults(text)).toEqual(expected);
});

test('bytes that are not text, or too many', () => {
  expect(readPolicy(concat(utf8('quorum none\n# '), new Uint8Array([0xff]))).faults).toEqual(['it is not UTF-8']);
  expect(readPolicy(utf8('#'.repeat(262_145))).faults).toEqual(['it has more than 262144 bytes']);
  expect(() => parsePolicy(utf8('quorum\n'))).toThrow('not a policy: line 1: not of the form: quorum <name>; there is');
});
