import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readCertificate, readCertificates } from '../../src/tsa/certificate.ts';
import { context, derSequence, integer } from '../../src/tsa/der.ts';
import { parseResponse } from '../../src/tsa/token.ts';
import { checkToken, type Imprint, type TokenOutcome } from '../../src/tsa/token-check.ts';
import {
  AUTHORITY,
  basic,
  extension,
  type KeyName,
  makeAuthority,
  makeCa,
  makeCertificate,
  makeToken,
  purposes,
  SIGNS,
  SIGNS_CERTIFICATES,
  type Signer,
  TIME,
  TIME_STAMPING,
  type TokenOptions,
  usage,
} from '../support/tsa.ts';

const digest = new Uint8Array(createHash('sha256').update('a root').digest());
const imprint: Imprint = { hash: 'SHA-256', digest };
const ca = makeCa();
const signer = makeAuthority(ca);

function check(options: Partial<TokenOptions> = {}, trusted: readonly Signer[] = [ca]): Promise<TokenOutcome> {
  const certificates = trusted.map(({ certificate }) => readCertificate(certificate));
  return checkToken(makeToken({ signer, digest, ...options }), imprint, { certificates });
}

function wordsOf(outcome: TokenOutcome): string {
  return 'says' in outcome ? `${outcome.kind}: ${outcome.says}` : `${outcome.kind}: ${outcome.ca.subjectText}`;
}

test('a token is trusted by the CA of its authority, and by no other', async () => {
  expect(await check()).toMatchObject({ kind: 'trusted', token: { info: { time: { ms: TIME }, accuracy: null } } });
  expect(wordsOf(await check({}, []))).toBe('untrusted: is by an authority that no CA you trust vouches for');
  const other = makeCa({ subject: 'Another CA' });
  expect((await check({}, [other])).kind).toBe('untrusted');
  // Of the same name, with another key.
  const impostor = makeCa({ keyOf: 'impostor' });
  expect(wordsOf(await check({}, [impostor]))).toBe(
    'untrusted: is not trusted: CN=Test TSA is not signed by the key of CN=Test CA',
  );
});

test.each<KeyName>(['rsa', 'p256', 'p384', 'ed25519'])('signatures by %s keys are checked', async (algorithm) => {
  const root = makeCa({ subject: `CA ${algorithm}`, algorithm });
  const authority = makeAuthority(root, { subject: `TSA ${algorithm}`, algorithm });
  expect(wordsOf(await check({ signer: authority }, [root]))).toBe(`trusted: CN=CA ${algorithm}`);
  const spoilSignature = (signature: Uint8Array): Uint8Array =>
    signature.map((byte, i) => (i === signature.length - 1 ? byte ^ 1 : byte));
  expect((await check({ signer: authority, spoilSignature }, [root])).kind).toBe('broken');
});

test.each<[KeyName, string]>([
  ['rsa-1024', 'unsupported: cannot be checked: an RSA key has 1024 bits, which is not from 2048 to 8192'],
  ['p521', 'unsupported: cannot be checked: the curve of a key is neither P-256 nor P-384'],
])('a key of the kind %s is left unchecked', async (algorithm, says) => {
  expect(wordsOf(await check({ signer: makeAuthority(ca, { subject: `TSA ${algorithm}`, algorithm }) }))).toBe(says);
});

const hour = 3_600_000;

test.each<[string, () => Signer, string]>([
  [
    'no extended key usage',
    () => makeAuthority(ca, { extensions: [basic(false), usage(SIGNS)] }),
    'has no extended key usage',
  ],
  [
    'one that is not critical',
    () => makeAuthority(ca, { extensions: [purposes(false, TIME_STAMPING)] }),
    'not critical',
  ],
  [
    'another one',
    () => makeAuthority(ca, { extensions: [purposes(true, '1.3.6.1.5.5.7.3.3')] }),
    'other than timeStamping alone',
  ],
  [
    'a second one',
    () => makeAuthority(ca, { extensions: [purposes(true, TIME_STAMPING, '1.3.6.1.5.5.7.3.3')] }),
    'other than timeStamping alone',
  ],
  [
    'a key usage without signatures',
    () => makeAuthority(ca, { extensions: [usage(0x20), purposes(true, TIME_STAMPING)] }),
    'has a key usage other than signatures',
  ],
  [
    'a key that also signs certificates',
    () => makeAuthority(ca, { extensions: [usage(SIGNS | SIGNS_CERTIFICATES), purposes(true, TIME_STAMPING)] }),
    'has a key usage other than signatures',
  ],
  [
    'an unknown critical extension',
    () => makeAuthority(ca, { extensions: [...AUTHORITY, extension('1.2.3.9', new Uint8Array([5, 0]), true)] }),
    'has the critical extension 1.2.3.9',
  ],
  [
    'a certificate that had expired',
    () => makeAuthority(ca, { to: TIME - hour }),
    'had expired at the time of the token',
  ],
  ['a certificate that was not valid yet', () => makeAuthority(ca, { from: TIME + hour }), 'was not valid yet'],
])('%s: no authority', async (_, make, says) => {
  const outcome = await check({ signer: make() });
  expect(outcome.kind).toBe('unfit');
  expect(wordsOf(outcome)).toContain(says);
});

test('validity counts at the time of the token, not now', async () => {
  const short = makeAuthority(ca, { from: TIME - hour, to: TIME });
  expect((await check({ signer: short, time: '20260601120000.999Z' })).kind).toBe('trusted');
  expect((await check({ signer: short, time: '20260601120001Z' })).kind).toBe('unfit');
});

test('each CA of a chain must be one, for timestamps, and valid at that time', async () => {
  const over = (extensions: readonly Uint8Array[], options: { from?: number; to?: number } = {}): Signer =>
    makeCertificate({ subject: 'Between', issuer: ca, extensions, ...options });
  const words = async (between: Signer): Promise<string> => {
    const leaf = makeAuthority(between);
    return wordsOf(await check({ signer: leaf, certificates: [leaf, between] }));
  };
  const vouches = [basic(true), usage(SIGNS_CERTIFICATES)];
  expect(await words(over(vouches))).toBe('trusted: CN=Test CA');
  expect(await words(over([...vouches, purposes(false, TIME_STAMPING)]))).toBe('trusted: CN=Test CA');
  const no = 'untrusted: is not trusted: CN=Between';
  expect(await words(over([basic(false), usage(SIGNS_CERTIFICATES)]))).toBe(`${no} is not a CA`);
  expect(await words(over([usage(SIGNS_CERTIFICATES)]))).toBe(`${no} is not a CA`);
  expect(await words(over([basic(true), usage(SIGNS)]))).toBe(`${no} may not sign certificates`);
  expect(await words(over([...vouches, purposes(false, '1.3.6.1.5.5.7.3.1')]))).toBe(`${no} is not for timestamps`);
  expect(await words(over(vouches, { to: TIME - hour }))).toBe(`${no} had expired at the time of the token`);
  expect(await words(over(vouches, { from: TIME + hour }))).toBe(`${no} was not valid yet at the time of the token`);
  const name = extension('2.5.29.30', derSequence(), true);
  expect(await words(over([...vouches, name]))).toBe(
    `${no} has the critical extension 2.5.29.30, which is not known here`,
  );
});

test('the CA that is trusted must be a CA, valid at that time, and allow the length of the chain', async () => {
  const expired = makeCa({ to: TIME - hour });
  expect(wordsOf(await check({}, [expired]))).toContain('CN=Test CA had expired at the time of the token');
  const leafAsCa = makeCertificate({ subject: 'Test CA', extensions: [] });
  expect(wordsOf(await check({}, [leafAsCa]))).toContain('CN=Test CA is not a CA');
  const narrow = makeCa({ subject: 'Narrow', extensions: [basic(true, 0)] });
  const between = makeCertificate({ subject: 'Between', issuer: narrow, extensions: [basic(true)] });
  const far = makeAuthority(between);
  expect(wordsOf(await check({ signer: far, certificates: [far, between] }, [narrow]))).toContain(
    'allows only 0 CAs below it',
  );
  const near = makeAuthority(narrow);
  expect((await check({ signer: near }, [narrow])).kind).toBe('trusted');
  // A certificate between is trusted where it was given.
  expect((await check({ signer: far }, [between])).kind).toBe('trusted');
});

test('the certificate of the signer may be given besides; alone it is no CA', async () => {
  expect((await check({ certificates: [] })).kind).toBe('unsigned');
  expect((await check({ certificates: [] }, [signer, ca])).kind).toBe('trusted');
  expect((await check({ certificates: [] }, [signer])).kind).toBe('untrusted');
});

test.each<[string, Partial<TokenOptions>, TokenOutcome['kind'], string]>([
  ['another digest', { digest: new Uint8Array(32) }, 'foreign', '0'.repeat(64)],
  ['other content than was signed', { spoilContent: (content) => content.with(-21, 0) }, 'foreign', 'is about'],
  [
    'another serial than was signed',
    { spoilContent: (content) => content.with(-18, 8) },
    'broken',
    'content other than what was signed',
  ],
  ['no ESSCertID', { named: null }, 'broken', 'ESSCertID'],
  ['an ESSCertID of another certificate', { named: ca.certificate }, 'broken', 'ESSCertID'],
  ['two signers', { signers: 2 }, 'broken', 'exactly one signer'],
  ['no signer', { signers: 0 }, 'broken', 'exactly one signer'],
  ['attributes for other content', { contentType: '1.2.840.113549.1.7.1' }, 'broken', 'content other than TSTInfo'],
  ['a time that is not in UTC', { time: '20260601120000+0200' }, 'broken', 'not a time in UTC'],
  ['a time that does not exist', { time: '20260231120000Z' }, 'broken', 'not a time in UTC'],
])('%s', async (_, options, kind, says) => {
  const outcome = await check(options);
  expect(outcome.kind).toBe(kind);
  expect(wordsOf(outcome)).toContain(says);
});

test('ESSCertID of the first version counts', async () => {
  expect((await check({ essVersion: 1 })).kind).toBe('trusted');
  expect((await check({ essVersion: 1, named: ca.certificate })).kind).toBe('broken');
});

test.each<[string, number, boolean]>([
  ['20260601120000Z', 0, false],
  ['20260601120000.1Z', 100, false],
  ['20260601120000.12Z', 120, false],
  ['20260601120000.123456789012345678901234567890Z', 123, true],
  ['20260601120000.1230000000Z', 123, false],
])('the time %s is read to the millisecond', async (time, beyond, finer) => {
  expect(await check({ time })).toMatchObject({ token: { info: { time: { ms: TIME + beyond, finer } } } });
});

test('accuracy is told in milliseconds, rounded up', async () => {
  const micros = context(1).with(0, 0x81);
  const accuracy = derSequence(integer(2), Uint8Array.of(0x80, 2, 0x01, 0xf4), Uint8Array.of(micros[0] ?? 0, 1, 1));
  expect(await check({ accuracy })).toMatchObject({ token: { info: { accuracy: 2_501 } } });
});

const real = (file: string): Uint8Array => new Uint8Array(readFileSync(new URL(`tokens/${file}`, import.meta.url)));
const tokenIn = (file: string): Uint8Array => {
  const response = parseResponse(real(file));
  if (!response.granted) throw new Error(response.says);
  return response.token;
};

test.each<[string, string, Imprint['hash'], string]>([
  ['sigstore-sha256.tsr', 'sigstore-staging.pem', 'SHA-256', 'trusted: O=sigstore.dev, CN=sigstore-tsa-selfsigned'],
  [
    'sigstore-no-embedded-cert.tsr',
    'sigstore-staging.pem',
    'SHA-256',
    'trusted: O=sigstore.dev, CN=sigstore-tsa-selfsigned',
  ],
  ['sigstore-invalid-signature.tsr', 'sigstore-staging.pem', 'SHA-256', 'broken: has a signature that does not hold'],
  ['identrust.tsr', 'identrust.pem', 'SHA-512', 'trusted: C=US, O=IdenTrust, CN=IdenTrust Commercial Root CA 1'],
  [
    'identrust.tsr',
    'sigstore-staging.pem',
    'SHA-512',
    'untrusted: is by an authority that no CA you trust vouches for',
  ],
])('%s by %s', async (file, authority, hash, says) => {
  const hello = new Uint8Array(createHash(hash.replace('-', '')).update('hello').digest());
  const certificates = readCertificates(real(authority));
  expect(wordsOf(await checkToken(tokenIn(file), { hash, digest: hello }, { certificates }))).toBe(says);
  const other = await checkToken(tokenIn(file), { hash, digest: hello.with(0, 0) }, { certificates });
  expect(other.kind).toBe('foreign');
});

test('no changed byte of a token makes a trusted one that says something else', async () => {
  const token = makeToken({ signer, digest });
  const certificates = [readCertificate(ca.certificate)];
  await fc.assert(
    fc.asyncProperty(fc.nat(token.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
      const changed = token.map((byte, i) => (i === at ? byte ^ flip : byte));
      const outcome = await checkToken(changed, imprint, { certificates });
      // What no signature covers may change: the order of lengths, versions, certificates that nobody needs.
      if (outcome.kind === 'trusted') expect(outcome.token.info.time.ms).toBe(TIME);
    }),
    { numRuns: 300 },
  );
});

test('anything at all is answered', async () => {
  const nested = new Uint8Array(60_000).fill(0x30);
  for (const bytes of [
    new Uint8Array(),
    nested,
    randomBytes(500),
    new Uint8Array(70_000),
    tokenIn('identrust.tsr').subarray(1),
  ]) {
    expect((await checkToken(new Uint8Array(bytes), imprint, { certificates: [] })).kind).toBe('broken');
  }
});

test('a response that grants nothing says why', () => {
  const text = new Uint8Array(Buffer.from('no such policy'));
  const info = derSequence(
    integer(2),
    derSequence(Uint8Array.of(0x0c, text.length, ...text)),
    Uint8Array.of(3, 3, 0, 0, 1),
  );
  expect(parseResponse(derSequence(info))).toEqual({
    granted: false,
    says: 'rejected: unacceptedPolicy: no such policy',
  });
});
