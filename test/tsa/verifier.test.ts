import { expect, test } from 'vitest';
import { fromHex, toBase64 } from '../../src/core/bytes.ts';
import { upperTime } from '../../src/core/moment.ts';
import type { RoundReceipt } from '../../src/core/receipt.ts';
import { formatTime } from '../../src/core/time.ts';
import { VERDICT_CODES } from '../../src/core/verdict.ts';
import { derSequence, integer } from '../../src/tsa/der.ts';
import { nextSteps, type Trust, verify } from '../../src/verify/verify.ts';
import { provenReceipt } from '../support/receipts.ts';
import { makeAuthority, makeCa, makeToken, pem, TIME, type TokenOptions } from '../support/tsa.ts';
import { TSA_CODES } from '../verify/tsa-codes.ts';

const CLOSED_AT = Date.parse('2026-07-01T00:00:01.000Z');
/** A minute after the close of the round. */
const STAMPED = '20260701000101.25Z';
const { receipt, payload, log, local } = provenReceipt();
const ca = makeCa();
const signer = makeAuthority(ca);
const authorities = [new TextEncoder().encode(pem(ca.certificate))];

function withToken(options: Partial<TokenOptions> = {}, token?: string): RoundReceipt {
  const made = makeToken({ signer, digest: fromHex(receipt.round.root), time: STAMPED, ...options });
  const anchor = {
    type: 'rfc3161' as const,
    status: 'stamped' as const,
    authority: 'CN=Test TSA',
    time: '2020-01-01T00:00:00.000Z',
    accuracy: 0,
    token: token ?? toBase64(made),
  };
  return { ...receipt, anchors: [anchor] };
}

const CASES: readonly [(typeof TSA_CODES)[number], Partial<TokenOptions>, Trust, string?][] = [
  ['token-trusted', {}, { authorities }],
  ['authority-not-given', {}, {}],
  ['token-not-trusted', { signer: makeAuthority(makeCa({ subject: 'Another CA' })) }, { authorities }],
  ['token-differs', { digest: new Uint8Array(32) }, { authorities }],
  ['token-broken', { spoilContent: (content) => content.with(-2, 0x39) }, { authorities }],
  ['token-broken', {}, { authorities }, 'AAAA'],
  ['token-broken', {}, { authorities }, 'AAAB='],
  ['token-unfit', { signer: makeAuthority(ca, { to: TIME }) }, { authorities }],
  ['token-signer-missing', { certificates: [] }, { authorities }],
  ['token-unsupported', { signer: makeAuthority(ca, { algorithm: 'p521' }) }, { authorities }],
];

test.each(CASES)('%s', async (code, options, trust, token) => {
  const verdict = await verify({ proof: withToken(options, token), payload }, { key: log.verifierKey, ...trust });
  const [claim] = verdict.claims.filter(({ claim }) => claim === 'anchor');
  expect(claim).toMatchObject({ code, status: VERDICT_CODES[code] });
  const results = { verified: 'proven', refuted: 'refuted', unverified: 'unproven' } as const;
  expect(verdict.result).toBe(results[VERDICT_CODES[code]]);
  // Nothing that the user can do makes an unfit certificate fit.
  if (VERDICT_CODES[code] === 'unverified' && code !== 'token-unfit') expect(nextSteps(verdict)).not.toEqual([]);
  // Another anchor proves on its own.
  const both = { ...receipt, anchors: [...withToken(options, token).anchors, ...receipt.anchors] };
  expect((await verify({ proof: both, payload }, { ...trust, evm: [local] })).result).toBe('proven');
});

test('every code of a token has shown itself', () => {
  expect(TSA_CODES.filter((code) => !CASES.some(([shown]) => shown === code))).toEqual([]);
});

test('the time is that of the token, with the accuracy that the authority states or a minute', async () => {
  const stated = derSequence(integer(1), Uint8Array.of(0x80, 2, 0x01, 0xf4));
  for (const [accuracy, tolerance] of [
    [null, 60_000],
    [stated, 1_500],
  ] as const) {
    const { existedBefore } = await verify({ proof: withToken({ accuracy }), payload }, { authorities });
    const time = formatTime(CLOSED_AT + 60_250);
    expect(existedBefore).toEqual({ time, tolerance, authority: 'CN=Test TSA' });
    expect(existedBefore === null ? null : upperTime(existedBefore)).toBe(formatTime(CLOSED_AT + 60_250 + tolerance));
  }
  const finer = await verify({ proof: withToken({ time: '20260701000101.2500001Z' }), payload }, { authorities });
  expect(finer.existedBefore).toMatchObject({ tolerance: 60_001 });
});

test('of several anchors the one with the earliest bound counts', async () => {
  const early = { ...receipt, anchors: [...receipt.anchors, ...withToken().anchors] };
  const byBlock = await verify({ proof: early, payload }, { authorities, evm: [local] });
  expect(byBlock.existedBefore).toMatchObject({ chain: 'eip155:31337' });
  const byToken = await verify({ proof: early, payload }, { authorities });
  expect(byToken.existedBefore).toMatchObject({ authority: 'CN=Test TSA' });
});
