// Timestamp tokens by themselves, and whether the authority of a service logged them.

import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { toBase64, toHex, utf8 } from '../../src/core/bytes.ts';
import type { Claim } from '../../src/core/verdict.ts';
import { derSequence, integer, NULL, octetString, oid } from '../../src/tsa/der.ts';
import { Issuer } from '../../src/tsa/issuer.ts';
import { encodeRequest } from '../../src/tsa/request.ts';
import { parseResponse } from '../../src/tsa/token.ts';
import { nextSteps, type TokenAnswer, type Trust, type Verdict, verify } from '../../src/verify/verify.ts';
import { run } from '../cli/command.ts';
import { type TestService, testService } from '../support/service.ts';
import { granting, makeAuthority, makeCa, makeToken, pem } from '../support/tsa.ts';
import { TOKEN_LOG_CODES } from './tsa-codes.ts';

const POLICY = '1.2.3.4.1';
const validity = { from: Date.now() - 86_400_000, to: Date.now() + 86_400_000 };
const ca = makeCa({ subject: 'Own CA', ...validity });
const own = makeAuthority(ca, { subject: 'Own TSA', ...validity });
const other = makeAuthority(ca, { subject: 'Other TSA', ...validity });
const authorities = [utf8(pem(ca.certificate))];
const payload = utf8('content');
const hash = (name: string, data: Uint8Array): Uint8Array => new Uint8Array(createHash(name).update(data).digest());
const request = encodeRequest({ digest: hash('sha256', payload), nonce: new Uint8Array(8).fill(5), policy: POLICY });

const folder = mkdtempSync(join(tmpdir(), 'antequem-token-'));
const file = (name: string): string => join(folder, name);
let service: TestService;

/** The authority outside of its service: what it signs is logged nowhere. */
function unlogged(signer = own, now = Date.now): Issuer {
  return new Issuer({
    certificates: utf8(pem(signer.certificate)),
    key: utf8(signer.key.export({ type: 'pkcs8', format: 'pem' }).toString()),
    policy: POLICY,
    now,
    random: (length) => new Uint8Array(length).fill(0x21),
    clockAhead: async () => 0,
    log: async () => {},
  });
}

beforeAll(async () => {
  writeFileSync(file('own.pem'), pem(own.certificate));
  writeFileSync(file('own.key'), own.key.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(file('ca.pem'), pem(ca.certificate));
  writeFileSync(file('content'), payload);
  const ownAuthority = { certFile: file('own.pem'), keyFile: file('own.key'), policy: POLICY, perMinute: 100 };
  service = await testService({ config: { ownAuthority } });
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

async function stamped(): Promise<Uint8Array> {
  const headers = { 'content-type': 'application/timestamp-query' };
  return new Uint8Array((await service.send('POST', '/tsa', { body: request, headers })).bytes);
}

async function answerOf(proof: Uint8Array): Promise<TokenAnswer> {
  const response = parseResponse(proof);
  const token = response.granted ? response.token : proof;
  const { text } = await service.send('GET', `/v1/tsa/${toHex(hash('sha256', token))}`);
  return { text, asked: true };
}

const claimOn = ({ claims }: Verdict, name: Claim['claim']): Claim | undefined =>
  claims.find(({ claim }) => claim === name);
const claimForm = z.looseObject({ code: z.string() });
const seen = new Set<string | undefined>();
async function logCode(proof: Uint8Array, logged: TokenAnswer, trust: Trust = {}): Promise<Verdict> {
  const verdict = await verify({ proof, payload, logged }, trust);
  seen.add(claimOn(verdict, 'round')?.code);
  return verdict;
}

test('a token proves its content by a CA that is trusted, whatever its hash, and no other content', async () => {
  const HASHES = {
    sha256: '2.16.840.1.101.3.4.2.1',
    sha384: '2.16.840.1.101.3.4.2.2',
    sha512: '2.16.840.1.101.3.4.2.3',
  };
  for (const [name, type] of Object.entries(HASHES)) {
    const imprint = derSequence(derSequence(oid(type), NULL), octetString(hash(name, payload)));
    const proof = await unlogged().answer(derSequence(integer(1), imprint));
    const verdict = await verify({ proof, payload }, { authorities });
    // It does not bring its certificate, which was not asked for.
    expect([verdict.result, claimOn(verdict, 'anchor')?.code]).toEqual(['unproven', 'token-signer-missing']);
    const certificates = [...authorities, utf8(pem(own.certificate))];
    expect(await verify({ proof, payload }, { authorities: certificates })).toMatchObject({
      result: 'proven',
      existedBefore: { authority: 'CN=Own TSA' },
    });
    const wrong = await verify({ proof, payload: utf8('another') }, { authorities: certificates });
    expect([wrong.result, claimOn(wrong, 'content')?.code]).toEqual(['refuted', 'content-differs']);
  }
});

test('a token without its response is read as well; what has no token is no proof', async () => {
  const token = makeToken({ signer: own, digest: hash('sha256', payload), time: '20260601120000Z' });
  for (const proof of [token, granting(token)]) {
    expect((await verify({ proof, payload }, { authorities })).claims[1]?.code).toBe('token-unfit');
  }
  const refused = await unlogged().answer(encodeRequest({ digest: payload, nonce: new Uint8Array(8), policy: '1.2' }));
  await expect(verify({ proof: refused, payload }, {})).rejects.toMatchObject({ code: 'proof-unknown' });
  const cut = await verify({ proof: token.subarray(0, 300), payload }, {});
  expect([cut.result, cut.claims[0]?.code]).toEqual(['refuted', 'token-broken']);
});

test('a token that waits, one that is logged, and one that the authority gave outside of its log', async () => {
  const proof = await stamped();
  const secret = await unlogged().answer(request);
  expect(claimOn(await logCode(proof, await answerOf(proof)), 'round')?.code).toBe('token-log-waiting');
  // No round has closed since: that it is in none accuses nobody yet.
  const early = await logCode(secret, await answerOf(secret));
  expect(claimOn(early, 'round')?.code).toBe('token-log-waiting');
  expect(nextSteps(early)).toContainEqual({ step: 'later-round' });

  const round = await service.closeRound();
  const answer = await answerOf(proof);
  expect(claimOn(await logCode(proof, answer), 'round')).toMatchObject({ code: 'token-logged', status: 'verified' });
  // An anchor of the round proves the content without any trust in the authority.
  const json: { anchors: unknown[]; round: { path: string[] } } = JSON.parse(answer.text);
  const stamp = makeToken({ signer: other, digest: round?.root ?? payload, time: timeText(Date.now()) });
  const anchor = {
    type: 'rfc3161',
    status: 'stamped',
    authority: 'CN=Other TSA',
    time: '2026-01-01T00:00:00.000Z',
    accuracy: null,
  };
  const text = JSON.stringify({ ...json, anchors: [{ ...anchor, token: toBase64(stamp) }] });
  expect(await logCode(proof, { text, asked: false }, { authorities })).toMatchObject({
    result: 'proven',
    existedBefore: { authority: expect.any(String) },
  });
  // A path that leads elsewhere, and an answer about another token.
  const spoiled = JSON.stringify({ ...json, round: { ...json.round, root: '00'.repeat(32) } });
  expect((await logCode(proof, { text: spoiled, asked: true })).result).toBe('refuted');
  expect(claimOn(await logCode(secret, answer), 'round')?.code).toBe('token-log-unknown');

  const missing = await answerOf(secret);
  const verdict = await logCode(secret, missing, { authorities: [...authorities, utf8(pem(own.certificate))] });
  expect(verdict.result).toBe('refuted');
  expect(claimOn(verdict, 'round')).toMatchObject({ code: 'token-not-logged', grounds: 'service' });
  // Anybody can write such an answer down; and a token of another authority is no concern of this service.
  expect(claimOn(await logCode(secret, { ...missing, asked: false }), 'round')?.code).toBe('token-log-unknown');
  const foreign = await unlogged(other).answer(request);
  expect(claimOn(await logCode(foreign, await answerOf(foreign)), 'round')?.code).toBe('token-log-unknown');
  const later = await unlogged(own, () => Date.now() + 3_600_000).answer(request);
  expect(claimOn(await logCode(later, await answerOf(later)), 'round')?.code).toBe('token-log-waiting');
  expect(seen).toEqual(new Set(TOKEN_LOG_CODES));
});

test('the command line asks the service that is named, saves its answer, and takes a saved one', async () => {
  const [given, outside] = [await stamped(), await unlogged().answer(request)];
  await service.closeRound();
  writeFileSync(file('content.tsr'), given);
  writeFileSync(file('outside.tsr'), outside);
  writeFileSync(file('trusted.pem'), pem(ca.certificate, own.certificate));
  const check = async (...args: string[]): Promise<[number | null, string]> => {
    const { code, stdout, stderr } = await run(['verify', file('content'), ...args], { cwd: folder });
    return [code, stdout + stderr];
  };
  const ask = ['--url', service.url, '--save-logged', file('saved.json')];
  const [code, said] = await check(file('content.tsr'), ...ask, '--tsa-ca', file('trusted.pem'));
  expect(code, said).toBe(0);
  expect(said).toContain('The token is a leaf of round');
  expect(JSON.parse(readFileSync(file('saved.json'), 'utf8'))).toMatchObject({ state: 'logged' });
  const [offline, text] = await check(file('content.tsr'), '--logged', file('saved.json'));
  expect(offline, text).toBe(2);
  expect(text).toContain('The token is a leaf of round');
  const [refuted, why] = await check(file('outside.tsr'), '--url', service.url, '--tsa-ca', file('trusted.pem'));
  expect(refuted, why).toBe(1);
  expect(why).toContain('the authority signed this one outside of its log');
  expect((await check(file('content.tsr'), '--save-logged', file('x')))[0]).toBe(3);
});

test('the API takes tokens as files have them, with what a service says of them', async () => {
  const [given, outside] = [await stamped(), await unlogged().answer(request)];
  await service.closeRound();
  const ask = (body: object) => service.send('POST', '/v1/verify', { body });
  const codes = async (body: object): Promise<unknown[]> => {
    const { json } = await ask(body);
    const { result, claims } = z.looseObject({ result: z.string(), claims: z.array(claimForm) }).parse(json);
    return [result, ...claims.map(({ code }) => code)];
  };
  const token = toBase64(given);
  const logged: unknown = JSON.parse((await answerOf(given)).text);
  const trusted = { authorities: pem(ca.certificate, own.certificate) };
  const content = { payload: toBase64(payload) };
  expect(await codes({ token, ...content })).toEqual(['unproven', 'content-matches', 'authority-not-given']);
  expect(await codes({ token, ...content, ...trusted })).toEqual(['proven', 'content-matches', 'token-trusted']);
  expect((await codes({ token, payload: toBase64(utf8('another')), ...trusted }))[0]).toBe('refuted');
  // Alone, the token by itself, and by the digest of the content.
  const [alone, ofResponse] = [parseResponse(given), hash('sha256', payload)];
  expect((await codes({ token, ...trusted }))[1]).toBe('content-not-given');
  expect((await codes({ token: toBase64(alone.granted ? alone.token : given), ...content, ...trusted }))[0]).toBe(
    'proven',
  );
  expect((await codes({ token, digest: toHex(ofResponse), ...trusted }))[0]).toBe('proven');
  expect(await codes({ token, ...content, logged })).toContain('token-logged');
  const missing: unknown = JSON.parse((await answerOf(outside)).text);
  expect(await codes({ token: toBase64(outside), ...content, logged: missing })).toContain('token-log-unknown');
  expect((await codes({ token: toBase64(given.subarray(0, 300)), ...content }))[1]).toBe('token-broken');
  const refusal = await unlogged().answer(encodeRequest({ digest: payload, nonce: new Uint8Array(8), policy: '1.2' }));
  for (const [body, code] of [
    [{ token: toBase64(refusal) }, 'verify-invalid'],
    [{ token: toBase64(payload) }, 'verify-invalid'],
    [{ token, logged: { state: 'logged' } }, 'verify-invalid'],
    [{ receipt: {}, logged }, 'verify-invalid'],
    [{ token, receipt: {} }, 'verify-invalid'],
    [{ token, digest: 'abc' }, 'digest-invalid'],
    [{ token: '###' }, 'base64-invalid'],
    [{ token, authorities: 'none' }, 'certificate-invalid'],
  ] as const) {
    expect([(await ask(body)).code, code]).toEqual([code, code]);
  }
  const deep = `{"token":"${token}","logged":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}`;
  expect((await service.send('POST', '/v1/verify', { body: deep })).status).toBe(400);
});

function timeText(ms: number): string {
  return `${new Date(ms).toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`;
}
