import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EntryLines } from '../../src/api/entry-line.ts';
import { fullEntryView } from '../../src/api/entry-view.ts';
import { TextWriter } from '../../src/core/text-writer.ts';
import { MAX_TIME } from '../../src/core/time.ts';
import type { FoundEntry } from '../../src/log/entries.ts';

const LOG = {
  id: 1,
  name: 'x',
  origin: 'log.example.org/logs/x',
  logId: new Uint8Array(32),
  blinded: true,
  createdAt: 0,
};
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

const payload = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.string({ unit: 'binary', maxLength: 300 }).map((text) => new Uint8Array(Buffer.from(text.toWellFormed()))),
  fc.json().map((text) => new Uint8Array(Buffer.from(text))),
);
const entry: fc.Arbitrary<FoundEntry> = fc
  .record({
    index: fc.maxSafeNat(),
    receivedAt: fc.nat({ max: MAX_TIME }),
    commitment: bytes(32),
    leafHash: bytes(32),
    secret: fc.option(fc.record({ digest: bytes(32), nonce: fc.oneof(bytes(0), bytes(16)) })),
    payload: fc.option(payload),
  })
  .map((each) => ({ ...each, payloadSize: each.payload?.length ?? null }));

function lineOf(...entries: readonly FoundEntry[]): string {
  const out = new TextWriter(1);
  const lines = new EntryLines(LOG);
  for (const each of entries) {
    lines.write(out, each);
    out.text('}\n');
  }
  return Buffer.from(out.written()).toString();
}

test('a line of an export is the JSON of the entry, whatever the entry holds', () => {
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 4 }), (entries) => {
      const views = entries.map((each) => JSON.stringify(fullEntryView(LOG, each)));
      expect(lineOf(...entries)).toBe(views.map((view) => `${view}\n`).join(''));
    }),
    { numRuns: 200 },
  );
});

test('every byte that JSON escapes is escaped, and what is no UTF-8 is base64', () => {
  const of = (payload: Uint8Array): FoundEntry => {
    const hash = new Uint8Array(32);
    return {
      index: 0,
      receivedAt: 0,
      commitment: hash,
      leafHash: hash,
      secret: null,
      payload,
      payloadSize: payload.length,
    };
  };
  const all = of(Uint8Array.from({ length: 128 }, (_, byte) => byte));
  const others = [Uint8Array.of(0xff), new Uint8Array(Buffer.from('\ufeff\u2028\u{1f600}é"')), new Uint8Array(0)].map(
    of,
  );
  for (const each of [all, ...others]) expect(lineOf(each)).toBe(`${JSON.stringify(fullEntryView(LOG, each))}\n`);
});
