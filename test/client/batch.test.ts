import { describe, expect, it } from 'vitest';
import { batchBody, batchLength } from '../../src/client/batch.ts';
import { utf8 } from '../../src/core/bytes.ts';

const entriesOf = (...texts: string[]): { bytes: Uint8Array }[] => texts.map((text) => ({ bytes: utf8(text) }));

describe('an entry that the service would skip or cut as a line', () => {
  it.each(['', ' ', '\t', '\r', ' \t\r', '\r\r', '\n', 'two\nlines', '\r\n'])('is sent alone, as it is: %j', (text) => {
    expect(batchLength(entriesOf(text, 'next'))).toBe(1);
    expect(batchLength(entriesOf('before', text, 'next'))).toBe(1);
    expect(batchBody([utf8(text)])).toEqual({ lines: false, body: utf8(text) });
  });
});

describe('any other entry', () => {
  it.each(['a', ' a', 'a\r', '\ra', '\v', '\f', '\u00a0', '\0'])(
    'goes together with others, each a line: %j',
    (text) => {
      expect(batchLength(entriesOf('before', text, 'next'))).toBe(3);
      expect(batchBody([utf8(text), utf8('next')])).toEqual({ lines: true, body: utf8(`${text}\nnext\n`) });
    },
  );
});
