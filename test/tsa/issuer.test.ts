import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { z } from 'zod';
import { LOCAL_POLICY, localAuthority } from '../../scripts/local/authority.ts';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { rootFromInclusion } from '../../src/core/proof.ts';
import { readCertificate } from '../../src/tsa/certificate.ts';
import { derSequence, integer, octetString, oid } from '../../src/tsa/der.ts';
import { Issuer } from '../../src/tsa/issuer.ts';
import { encodeRequest } from '../../src/tsa/request.ts';
import { parseResponse, parseToken } from '../../src/tsa/token.ts';
import { checkToken } from '../../src/tsa/token-check.ts';
import { testService } from '../support/service.ts';
import { AUTHORITY, type KeyName, makeAuthority, makeCa, pem, purposes, TIME_STAMPING } from '../support/tsa.ts';

const folder = mkdtempSync(join(tmpdir(), 'antequem-issuer-'));
afterAll(() => rmSync(folder, { recursive: true }));
const POLICY = '1.2.3.4.1';
const validity = { from: Date.now() - 86_400_000, to: Date.now() + 86_400_000 };
const ca = makeCa({ subject: 'Own CA', ...validity });

function authority(algorithm: KeyName = 'p256', extensions = AUTHORITY) {
  const signer = makeAuthority(ca, { subject: `Own TSA ${algorithm}`, algorithm, extensions, ...validity });
  const key = signer.key.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { signer, key, certificate: pem(signer.certificate) };
}

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const sha256 = (data: Uint8Array): Uint8Array => new Uint8Array(createHash('sha256').update(data).digest());

function issuerOf(own = authority(), more: Partial<ConstructorParameters<typeof Issuer>[0]> = {}): Issuer {
  let randoms = 0;
  return new Issuer({
    certificates: bytes(own.certificate),
    key: bytes(own.key),
    policy: POLICY,
    now: Date.now,
    random: (length) => new Uint8Array(length).fill(++randoms),
    clockAhead: async () => 0,
    log: async () => {},
    ...more,
  });
}

test.each<KeyName>(['p256', 'rsa'])('openssl gets tokens by a %s key, and checks them', async (algorithm) => {
  const issuer = issuerOf(authority(algorithm));
  const openssl = (...args: string[]): string =>
    execFileSync('openssl', ['ts', ...args], { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  writeFileSync(join(folder, 'data'), 'content');
  writeFileSync(join(folder, 'ca.pem'), pem(ca.certificate));
  for (const hash of ['-sha256', '-sha384', '-sha512']) {
    openssl('-query', '-data', 'data', hash, '-cert', '-out', 'query.tsq');
    writeFileSync(
      join(folder, 'answer.tsr'),
      await issuer.answer(new Uint8Array(readFileSync(join(folder, 'query.tsq')))),
    );
    expect(openssl('-verify', '-queryfile', 'query.tsq', '-in', 'answer.tsr', '-CAfile', 'ca.pem')).toContain('OK');
  }
});

const digest = sha256(bytes('content'));
const nonce = new Uint8Array(8).fill(0x55);
const request = encodeRequest({ digest, nonce, policy: POLICY });

test('the token holds, repeats the nonce, has a serial of its own and is logged before it is given', async () => {
  const logged: string[] = [];
  const issuer = issuerOf(authority(), { log: async (commitment) => void logged.push(toHex(commitment)) });
  const tokens = await Promise.all([request, request].map((each) => issuer.answer(each)));
  const read = tokens.map((answer) => {
    const response = parseResponse(answer);
    if (!response.granted) throw new Error(response.says);
    return response.token;
  });
  const infos = read.map((token) => parseToken(token).info);
  expect(new Set(infos.map(({ serial }) => toHex(serial))).size).toBe(2);
  expect(infos.map((info) => toHex(info.nonce ?? new Uint8Array()))).toEqual(['55'.repeat(8), '55'.repeat(8)]);
  expect(logged).toEqual(read.map((token) => toHex(sha256(sha256(token)))));
  const trust = { certificates: [readCertificate(ca.certificate)] };
  for (const token of read) expect((await checkToken(token, { hash: 'SHA-256', digest }, trust)).kind).toBe('trusted');
});

test('a token that cannot be logged is not given', async () => {
  const issuer = issuerOf(authority(), { log: () => Promise.reject(new Error('no database')) });
  await expect(issuer.answer(request)).rejects.toThrow('no database');
});

const asked = (algorithm: string, of: Uint8Array): Uint8Array =>
  derSequence(integer(1), derSequence(derSequence(oid(algorithm)), octetString(of)));

test.each<[string, Uint8Array, Partial<ConstructorParameters<typeof Issuer>[0]>, string]>([
  ['junk', new Uint8Array([1, 2, 3]), {}, 'rejected: badDataFormat'],
  ['SHA-1', asked('1.3.14.3.2.26', new Uint8Array(20)), {}, 'rejected: badAlg'],
  ['a digest of another length', asked('2.16.840.1.101.3.4.2.1', new Uint8Array(20)), {}, 'rejected: badDataFormat'],
  ['another policy', encodeRequest({ digest, nonce, policy: '1.2.3.9' }), {}, 'rejected: unacceptedPolicy'],
  ['clocks that differ', request, { clockAhead: async () => 61_000 }, 'rejected: timeNotAvailable'],
])('%s is rejected', async (_, query, more, says) => {
  let logged = 0;
  const issuer = issuerOf(authority(), { log: async () => void logged++, ...more });
  const response = parseResponse(await issuer.answer(query));
  expect(response.granted ? '' : response.says).toContain(says);
  expect(logged).toBe(0);
});

test('without a token once its certificate has expired', async () => {
  let time = Date.now();
  const issuer = issuerOf(authority(), { now: () => time });
  time += 2 * 86_400_000;
  expect(parseResponse(await issuer.answer(request))).toMatchObject({ granted: false });
});

test('the files of local mode serve for it, and are made once', async () => {
  const files = localAuthority(folder, Date.now());
  expect(localAuthority(folder, Date.now())).toEqual(files);
  const [certificates, key, trusted] = [files.certFile, files.keyFile, files.caFile].map((file) => readFileSync(file));
  if (certificates === undefined || key === undefined || trusted === undefined) throw new Error('a file is missing');
  const issuer = issuerOf(undefined, { certificates, key, policy: LOCAL_POLICY });
  writeFileSync(join(folder, 'local.tsq'), encodeRequest({ digest, nonce, policy: LOCAL_POLICY }));
  writeFileSync(join(folder, 'local.tsr'), await issuer.answer(encodeRequest({ digest, nonce, policy: LOCAL_POLICY })));
  const args = ['ts', '-verify', '-queryfile', 'local.tsq', '-in', 'local.tsr', '-CAfile', files.caFile];
  expect(execFileSync('openssl', args, { cwd: folder, encoding: 'utf8' })).toContain('OK');
});

test.each<[string, () => Issuer]>([
  ['the key of another certificate', () => issuerOf({ ...authority(), key: authority('rsa').key })],
  ['a certificate that is not for timestamps', () => issuerOf(authority('p256', [purposes(false, TIME_STAMPING)]))],
  ['a key on another curve', () => issuerOf(authority('p384'))],
  ['no key', () => issuerOf({ ...authority(), key: 'x' })],
])('%s serves for nothing', (_, make) => {
  expect(make).toThrow(expect.objectContaining({ code: 'authority-unusable' }));
});

const known = z.object({
  state: z.string(),
  leafHash: z.string(),
  round: z.object({ root: z.string(), index: z.number(), size: z.number(), path: z.array(z.string()) }).nullable(),
  newestRound: z.object({ number: z.number(), closedAt: z.string() }).nullable(),
});

test('the service signs, and every token of its own is in a round', async () => {
  const own = authority();
  const files = { certFile: join(folder, 'own.pem'), keyFile: join(folder, 'own.key') };
  writeFileSync(files.certFile, own.certificate);
  writeFileSync(files.keyFile, own.key);
  await using service = await testService({ config: { ownAuthority: { ...files, policy: POLICY, perMinute: 20 } } });
  const stamp = (body: Uint8Array, type = 'application/timestamp-query') =>
    service.send('POST', '/tsa', { body, headers: { 'content-type': type } });
  const answers = await Promise.all(Array.from({ length: 8 }, () => stamp(request)));
  const tokens = answers.map((answer) => {
    expect(answer.headers.get('content-type')).toBe('application/timestamp-reply');
    const response = parseResponse(new Uint8Array(answer.bytes));
    if (!response.granted) throw new Error(response.says);
    return response.token;
  });
  const look = async (of: Uint8Array) => known.parse((await service.send('GET', `/v1/tsa/${toHex(of)}`)).json);
  const serials = tokens.map((token) => toHex(parseToken(token).info.serial));
  expect(new Set(serials).size).toBe(tokens.length);
  expect((await look(sha256(tokens[0] ?? digest))).state).toBe('waiting');
  const round = await service.closeRound();
  for (const token of tokens) {
    const { state, leafHash, round: place } = await look(sha256(token));
    expect(state).toBe('logged');
    if (place === null) throw new Error('no round');
    const path = place.path.map(fromHex);
    const reached = rootFromInclusion(fromHex(leafHash), place.index, place.size, path);
    expect(toHex(reached ?? new Uint8Array())).toBe(place.root);
    expect(place.root).toBe(toHex(round?.root ?? new Uint8Array()));
  }
  // One that was never given is in no round, although one has closed since.
  expect(await look(digest)).toMatchObject({
    state: 'not-logged',
    round: null,
    newestRound: { number: round?.number },
  });
  expect((await service.send('GET', '/v1/tsa/xyz')).json).toMatchObject({ code: 'digest-invalid' });
  expect((await stamp(request, 'text/plain')).status).toBe(415);
  const many = await Promise.all(Array.from({ length: 20 }, () => stamp(request)));
  expect(many.filter(({ status }) => status === 429).length).toBeGreaterThan(0);
});

test('a service that is no authority has no such routes', async () => {
  await using service = await testService();
  expect((await service.send('POST', '/tsa', { body: request })).status).toBe(404);
});
