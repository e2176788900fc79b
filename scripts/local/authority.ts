// Timestamp authorities for one machine, each with a CA of its own, whose key is forgotten once it has signed the authority's
// certificate. They prove nothing to anybody else.

import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { utf8 } from '../../src/core/bytes.ts';
import { boolean, context, der, derSequence, integer, octetString, oid, setOf, utf8String } from '../../src/tsa/der.ts';

/** Below 2.999, the arc for examples (ITU-T X.660). */
export const LOCAL_POLICY = '2.999.1';

const ECDSA_SHA256 = derSequence(oid('1.2.840.10045.4.3.2'));
const YEARS_MS = 20 * 365 * 24 * 3_600_000;

export interface LocalAuthority {
  readonly certFile: string;
  readonly keyFile: string;
  /** What clients trust. */
  readonly caFile: string;
}

/** `tsa`: the service itself. `stamps`: the one that stamps its rounds, as strangers do elsewhere; receipts say what it is worth. */
const NAMES = {
  tsa: { ca: 'Antequem local CA', own: 'Antequem local timestamp authority' },
  stamps: { ca: 'Antequem local test CA', own: 'Antequem local test authority: proves nothing to others' },
} as const;

/** The files of an authority; made at the first start. @param now milliseconds since the Unix epoch */
export function localAuthority(dataDir: string, now: number, which: keyof typeof NAMES = 'tsa'): LocalAuthority {
  const file = (end: string): string => join(dataDir, `${which}${end}`);
  const files = { certFile: file('.pem'), keyFile: file('.key'), caFile: file('-ca.pem') };
  // The certificate is written last: while it is missing, all are made anew.
  if (existsSync(files.certFile)) return files;
  const names = NAMES[which];
  const ca = { name: nameOf(names.ca), key: newKey() };
  const own = { name: nameOf(names.own), key: newKey() };
  const caUse = [extension('2.5.29.19', derSequence(boolean(true))), extension('2.5.29.15', bits(0x06))];
  const ownUse = [extension('2.5.29.15', bits(0x80)), extension('2.5.29.37', derSequence(oid('1.3.6.1.5.5.7.3.8')))];
  const key = own.key.export({ type: 'pkcs8', format: 'pem' });
  writeFileSync(files.keyFile, key, { mode: 0o600 });
  writeFileSync(files.caFile, pem(certificate(ca, ca, caUse, now)));
  const made = `${files.certFile}.new`;
  writeFileSync(made, pem(certificate(own, ca, ownUse, now)));
  renameSync(made, files.certFile);
  return files;
}

interface Party {
  readonly name: Uint8Array;
  readonly key: KeyObject;
}

function certificate(subject: Party, issuer: Party, extensions: readonly Uint8Array[], now: number): Uint8Array {
  const publicKey = createPublicKey(subject.key).export({ format: 'der', type: 'spki' });
  const signed = derSequence(
    context(0, integer(2)),
    integer(new Uint8Array(randomBytes(16))),
    ECDSA_SHA256,
    issuer.name,
    derSequence(utcTime(now - 3_600_000), utcTime(now + YEARS_MS)),
    subject.name,
    new Uint8Array(publicKey),
    context(3, derSequence(...extensions)),
  );
  const signature = new Uint8Array(sign('sha256', signed, issuer.key));
  return derSequence(signed, ECDSA_SHA256, der(0x03, Uint8Array.of(0), signature));
}

const newKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const nameOf = (text: string): Uint8Array => derSequence(setOf(derSequence(oid('2.5.4.3'), utf8String(text))));
/** Critical. */
const extension = (type: string, value: Uint8Array): Uint8Array =>
  derSequence(oid(type), boolean(true), octetString(value));
const bits = (byte: number): Uint8Array => der(0x03, Uint8Array.of(0, byte));
const utcTime = (ms: number): Uint8Array =>
  der(0x17, utf8(`${new Date(ms).toISOString().slice(2, 19).replaceAll(/[-:T]/g, '')}Z`));

function pem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
