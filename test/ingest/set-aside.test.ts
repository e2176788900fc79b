import { createHash } from 'node:crypto';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BATCH, readBatch } from '../../src/ingest/cloudevents.ts';
import type { EventBatch } from '../../src/ingest/event.ts';
import { readAuditEvents, readAuditFile } from '../../src/ingest/kubernetes.ts';
import { otlpBatch } from '../../src/ingest/otlp.ts';
import { readOtlpJson } from '../../src/ingest/otlp-json.ts';
import { readOtlpProtobuf } from '../../src/ingest/otlp-protobuf.ts';
import { setAside } from '../../src/ingest/set-aside.ts';
import { type TestService, testService } from '../support/service.ts';

const text = (bytes: Uint8Array | null | undefined): string => Buffer.from(bytes ?? []).toString();
const linesOf = ({ drafts }: EventBatch): string[] => [...drafts].map(({ payload }) => text(payload));
const field = (number: number, inner: Uint8Array): Uint8Array =>
  new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(inner).finish();
const bytesOf = (...parts: (string | Uint8Array)[]): Uint8Array =>
  Buffer.concat(parts.map((part) => Buffer.from(part as Uint8Array)));

describe('a set-aside line', () => {
  it('holds the bytes, the reason and the source', () => {
    const draft = setAside('not-utf8', 'cloudevents', Uint8Array.of(0x22, 0xff, 0x22));
    const line = '{"antequem":"set-aside/v1","bytes":"Iv8i","reason":"not-utf8","source":"cloudevents"}';
    expect(text(draft.payload)).toBe(line);
    expect(Buffer.from(draft.digest)).toEqual(createHash('sha256').update(line).digest());
  });

  it('is named by SHA-256 of reason and bytes', () => {
    const draft = setAside('not-utf8', 'cloudevents', Uint8Array.of(0x22, 0xff, 0x22));
    const hash = createHash('sha256')
      .update('not-utf8')
      .update(Uint8Array.of(0x22, 0xff, 0x22))
      .digest();
    expect(Buffer.from(draft.event ?? [])).toEqual(hash.subarray(0, 16));
  });

  it.each([
    [512_000, true],
    [512_001, false],
  ])('of %d bytes keeps them: %s', (length, kept) => {
    const bytes = new Uint8Array(length).fill(0xff);
    const line = JSON.parse(text(setAside('not-utf8', 'otlp-json', bytes).payload));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    if (kept) expect(Buffer.from(line.bytes, 'base64').equals(bytes)).toBe(true);
    else expect(line).toEqual({ antequem: 'set-aside/v1', reason: 'not-utf8', source: 'otlp-json', sha256, length });
  });
});

/** Good items, an odd one among them, and what `read` must make of the good ones. */
interface Way {
  readonly name: string;
  readonly odd: fc.Arbitrary<Uint8Array>;
  readonly body: (before: number, odd: Uint8Array, after: number) => Uint8Array;
  readonly read: (body: Uint8Array) => EventBatch;
  readonly good: (number: number) => string;
}

const anyBytes = fc.uint8Array({ maxLength: 60 });
/** Strings of JSON with any bytes in them that end where they should. */
const anyString = anyBytes.map((bytes) =>
  bytesOf(
    '"',
    bytes.filter((byte) => byte !== 0x22 && byte !== 0x5c),
    '"',
  ),
);
/** Any bytes between brackets that balance, with strings that end. */
const anyValue = fc
  .oneof(
    anyString,
    fc.constantFrom('NaN', 'tru', '01', '{"a" 1}', '{"a":1]', '[{]}', '{"a":1,"a":2}', '"\\ud800"', '{"":{}}', "'a'"),
    fc.array(anyString, { maxLength: 4 }).map((some) => bytesOf('{"a":', ...some.flatMap((each) => [each, ' ']), '}')),
    fc.constantFrom('[', '{"a":').map((open) => `${open.repeat(200)}1${(open === '[' ? ']' : '}').repeat(200)}`),
  )
  .map((value) => bytesOf(value));

const listed = (before: number, odd: Uint8Array, after: number, good: (number: number) => string): Uint8Array[] => {
  const items = Array.from({ length: before + after }, (_, i) => bytesOf(good(i)));
  items.splice(before, 0, odd);
  return items;
};
const joined = (items: Uint8Array[], by: string): Uint8Array =>
  bytesOf(...items.flatMap((item, i) => (i === 0 ? [item] : [by, item])));
const list = (head: string, tail: string, good: (number: number) => string): Way['body'] => {
  return (before, odd, after) => bytesOf(head, joined(listed(before, odd, after, good), ','), tail);
};

const auditEvent = (number: number): string => `{"auditID":"id-${number}","stage":"Panic","user":"é\\n"}`;
const cloudEvent = (number: number): string => `{"id":"id-${number}","source":"/s","specversion":"1.0","type":"t"}`;
const record = (number: number): string => `{"body":{"stringValue":"record ${number}"}}`;

const WAYS: Way[] = [
  {
    name: 'an EventList of Kubernetes',
    odd: anyValue,
    body: list('{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[', ']}', auditEvent),
    read: readAuditEvents,
    good: (number) => JSON.stringify(JSON.parse(auditEvent(number))),
  },
  {
    name: 'an audit file of Kubernetes',
    odd: anyBytes.map((bytes) => bytes.filter((byte) => byte !== 0x0a)),
    body: (before, odd, after) =>
      joined(
        listed(before, odd, after, (number) =>
          auditEvent(number).replace('{', '{"kind":"Event","apiVersion":"audit.k8s.io/v1",'),
        ),
        '\n',
      ),
    read: readAuditFile,
    good: (number) => JSON.stringify(JSON.parse(auditEvent(number))),
  },
  {
    name: 'a batch of CloudEvents',
    odd: anyValue,
    body: list('[', ']', cloudEvent),
    read: readBatch,
    good: cloudEvent,
  },
  {
    name: 'OTLP in JSON',
    odd: anyValue,
    body: list('{"resourceLogs":[{"scopeLogs":[{"logRecords":[', ']}]}]}', record),
    read: (body) => otlpBatch(readOtlpJson(body)),
    good: (number) => `{"logRecord":${record(number)}}`,
  },
  {
    name: 'OTLP in protobuf',
    odd: anyBytes,
    body: (before, odd, after) => {
      const items = Array.from({ length: before + after }, (_, i) =>
        field(2, field(5, field(1, Buffer.from(`record ${i}`)))),
      );
      items.splice(before, 0, field(2, odd));
      return field(1, field(2, bytesOf(...items)));
    },
    read: (body) => otlpBatch(readOtlpProtobuf(body)),
    good: (number) => `{"logRecord":${record(number)}}`,
  },
];

describe('any bytes beside good items', () => {
  it.each(WAYS)('take none of them down in $name: 2,000 batches', ({ odd, body, read, good }) => {
    let aside = 0;
    fc.assert(
      fc.property(fc.nat(3), odd, fc.nat(3), (before, item, after) => {
        const lines = linesOf(read(body(before, item, after)));
        const expected = Array.from({ length: before + after }, (_, i) => good(i));
        expect(lines.filter((line) => expected.includes(line))).toEqual(expected);
        if (lines.some((line) => line.startsWith('{"antequem":"set-aside/v1"'))) aside++;
      }),
      { numRuns: 2_000 },
    );
    expect(aside).toBeGreaterThan(500);
  });
});

describe('an odd item among good ones', () => {
  let service: TestService;
  let names = 0;
  beforeAll(async () => {
    service = await testService();
  });
  afterAll(() => service[Symbol.asyncDispose]());

  const newLog = async (): Promise<string> => {
    const name = `odd-${names++}`;
    expect((await service.send('PUT', `/v1/logs/${name}`)).status).toBe(201);
    return name;
  };
  const stored = async (log: string): Promise<string[]> => {
    const { text } = await service.send('GET', `/v1/logs/${log}/export?receipts=false`);
    return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line).payload.text]));
  };

  it.each<[string, string | Uint8Array, string | null]>([
    ['plain', '{"a":1}', null],
    ['a member twice', '{"spec":{"a":1,"a":2}}', 'member-twice'],
    ['two spellings of a name', '{"a":1,"\\u0061":2}', 'member-twice'],
    ['depth 120', `${'['.repeat(120)}${']'.repeat(120)}`, null],
    ['depth 9,000', `${'['.repeat(9_000)}${']'.repeat(9_000)}`, 'too-deep'],
    ['a lone surrogate', '{"a":"\\ud800"}', null],
    ['bytes that are no UTF-8', bytesOf('{"a":"', Uint8Array.of(0xff, 0xfe), '"}'), 'not-utf8'],
    ['a large number', '{"a":9007199254740993,"b":1e400}', null],
    ['an empty name', '{"":1}', null],
    ['1.1 million values', `[${'0,'.repeat(1_100_000)}0]`, 'too-many-values'],
  ])('of Kubernetes, %s, is logged with them', async (_, raw, reason) => {
    const log = await newLog();
    const event = (id: string, object: string | Uint8Array): Uint8Array =>
      bytesOf(`{"auditID":"${id}","stage":"Panic","requestObject":`, object, '}');
    const events = [event('one', '1'), event('odd', raw), event('two', '2')];
    const body = bytesOf('{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[', joined(events, ','), ']}');
    const send = () => service.send('POST', `/v1/logs/${log}/ingest/kubernetes-audit`, { body });
    expect((await send()).json).toMatchObject({ count: 3, index: 0, setAside: reason === null ? 0 : 1 });
    expect((await send()).json).toMatchObject({ count: 0, repeated: 3, setAside: 0 });
    const [one, odd, two] = (await stored(log)).map((line) => JSON.parse(line));
    expect([one.auditID, two.auditID]).toEqual(['one', 'two']);
    if (reason === null) expect(odd.auditID).toBe('odd');
    else {
      expect(odd).toMatchObject({ antequem: 'set-aside/v1', reason, source: 'kubernetes-audit' });
      const whole = events[1] ?? new Uint8Array();
      if (whole.length > 512_000) expect(odd.length).toBe(whole.length);
      else expect(Buffer.from(odd.bytes, 'base64').equals(whole)).toBe(true);
    }
  });

  it('of a resource or a scope: each record is set aside with both', async () => {
    const log = await newLog();
    const attribute = (value: Uint8Array): Uint8Array =>
      bytesOf(field(1, Buffer.from('host')), field(2, field(1, value)));
    const records = ['a', 'b'].map((value) => field(2, field(5, field(1, Buffer.from(value)))));
    const odd = field(1, field(1, attribute(Uint8Array.of(0xff))));
    const scope = field(1, field(1, Uint8Array.of(0xfe)));
    const body = bytesOf(
      field(1, bytesOf(odd, field(2, bytesOf(...records)))),
      field(1, field(2, bytesOf(scope, records[0] ?? ''))),
      field(1, field(2, bytesOf(...records))),
    );
    const send = () =>
      service.send('POST', `/v1/logs/${log}/ingest/otlp`, {
        body,
        headers: { 'content-type': 'application/x-protobuf' },
      });
    expect((await send()).status).toBe(200);
    const lines = (await stored(log)).map((line) => JSON.parse(line));
    expect(lines.map(({ reason }) => reason)).toEqual(['not-utf8', 'not-utf8', 'not-utf8', undefined, undefined]);
    expect(Buffer.from(lines[1].bytes, 'base64')).toEqual(
      Buffer.from(field(1, bytesOf(odd, field(2, records[1] ?? new Uint8Array())))),
    );
    // Records that were set aside have a name; the others have no time, so the body could be new.
    await send();
    expect(await stored(log)).toHaveLength(7);
  });

  it('is counted and warned of', async () => {
    const log = await newLog();
    const batch = bytesOf('[', cloudEvent(1), ',{"a":"', Uint8Array.of(0xff), '"}]');
    const post = () =>
      service.send('POST', `/v1/logs/${log}/ingest/cloudevents`, { body: batch, headers: { 'content-type': BATCH } });
    await post();
    await post();
    const { text } = await service.send('GET', '/metrics');
    expect(text).toContain('antequem_set_aside_total{way="cloudevents",reason="not-utf8"} 1');
    expect(service.logged()).toContain('items that could not be made canonical were set aside');
  });

  it('proves like any other entry', async () => {
    const log = await newLog();
    const body = `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[${auditEvent(1)},{"auditID":""}]}`;
    await service.send('POST', `/v1/logs/${log}/ingest/kubernetes-audit`, { body });
    await service.closeRound();
    const receipt = await service.send('GET', `/v1/logs/${log}/entries/1/receipt`);
    const payload = await service.send('GET', `/v1/logs/${log}/entries/1/payload`);
    const verdict = await service.send('POST', '/v1/verify', {
      body: { receipt: receipt.json, payload: payload.bytes.toString('base64') },
    });
    const claims = verdict.json as { claims: { claim: string; status: string }[] };
    expect(claims.claims.filter(({ claim }) => claim === 'content' || claim === 'position')).toEqual([
      expect.objectContaining({ claim: 'content', status: 'verified' }),
      expect.objectContaining({ claim: 'position', status: 'verified' }),
    ]);
  });
});

describe('an audit file', () => {
  it('has its leading NULs set aside, and the event behind them logged', () => {
    const line = auditEvent(1).replace('{', '{"kind":"Event","apiVersion":"audit.k8s.io/v1",');
    const [hole, event] = linesOf(readAuditFile(bytesOf(new Uint8Array(700_000), line, '\n\n')));
    expect(JSON.parse(hole ?? '')).toMatchObject({ reason: 'nul-hole', length: 700_000 });
    expect(JSON.parse(event ?? '')).toEqual(JSON.parse(auditEvent(1)));
  });
});
