// Standard Webhooks 1.0.0, and Svix, which has the same under names of its own.

import { createHmac, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { z } from 'zod';
import { concat, fromBase64, fromHex, utf8 } from '../core/bytes.ts';
import { FormatError, parsed } from '../core/errors.ts';
import {
  checkSeconds,
  type Grounds,
  refused,
  requiredHeader,
  type SignedRequest,
  sameSecret,
  scheme,
  signedDeliveryHeader,
  type Verified,
} from './scheme.ts';

/** DER around 32 raw bytes: SubjectPublicKeyInfo of an Ed25519 key (RFC 8410 section 4). */
const SPKI = fromHex('302a300506032b6570032100');
/** Supabase writes `v1,` before it. */
const PREFIX = /^(v1,)?whsec_/;
const KEY_PREFIX = 'whpk_';
/** As many signatures as a header is looked through for. */
const MAX_SIGNATURES = 32;

const settingsForm = z.strictObject({
  toleranceSeconds: z
    .int()
    .min(1)
    .max(86_400)
    .default(300)
    .meta({ description: 'How many seconds old a signature may be.' }),
  publicKeys: z
    .array(z.string().refine((key) => publicKey(key) !== null, 'not whpk_ and base64 of 32 bytes'))
    .max(4)
    .default([])
    .meta({ description: 'Public keys of the sender for v1a signatures: whpk_…. With one, no secret is made.' }),
});

export const standardWebhooks = scheme(
  settingsForm,
  ({ publicKeys }) => (publicKeys.length > 0 ? 'none' : 'whsec'),
  ({ toleranceSeconds, publicKeys }) => {
    const keys = publicKeys.flatMap((text) => publicKey(text) ?? []);
    return { verify: (delivery, grounds) => verified(delivery, grounds, keys, toleranceSeconds) };
  },
);

/**
 * The bytes of a secret. @param text base64, with or without `whsec_` or `v1,whsec_` before it
 * @throws FormatError `source-invalid`
 */
export function parseSecret(text: string): Uint8Array {
  const bytes = parsed(() => fromBase64(text.replace(PREFIX, '')));
  if (bytes === null || bytes.length < 16 || bytes.length > 128) {
    throw new FormatError('source-invalid', 'a secret of Standard Webhooks is whsec_ and base64 of 16 to 128 bytes');
  }
  return bytes;
}

function verified(
  delivery: SignedRequest,
  { secrets, now }: Grounds,
  keys: readonly KeyObject[],
  toleranceSeconds: number,
): Verified {
  const brand = delivery.headers['webhook-id'] === undefined && delivery.headers['svix-id'] !== undefined;
  const name = (part: string): string => `${brand ? 'svix' : 'webhook'}-${part}`;
  const id = signedDeliveryHeader(delivery, name('id'));
  const time = requiredHeader(delivery, name('timestamp'));
  const header = requiredHeader(delivery, name('signature'));
  checkSeconds(time, toleranceSeconds, now);
  const message = concat(utf8(`${id}.${time}.`), delivery.body);
  const macs = secrets.map((secret) => createHmac('sha256', parseSecret(secret)).update(message).digest('base64'));
  const signatures = header.split(' ', MAX_SIGNATURES + 1);
  if (signatures.length > MAX_SIGNATURES) {
    throw refused('signature-invalid', `more than ${MAX_SIGNATURES} signatures in ${name('signature')}`);
  }
  const covers = [name('id'), name('timestamp'), 'body'];
  for (const signature of signatures) {
    const [version, value] = signature.split(',', 2);
    if (version === 'v1a' && value !== undefined) {
      const bytes = parsed(() => fromBase64(value));
      const key = bytes?.length === 64 ? keys.find((each) => verify(null, message, each, bytes)) : undefined;
      if (key !== undefined) {
        const details = { publicKey: key.export({ format: 'der', type: 'spki' }).toString('base64') };
        return { delivery: id, proof: { vouched: 'public-key', covers, signature, time, details } };
      }
    }
    if (version === 'v1' && value !== undefined && macs.some((mac) => sameSecret(mac, value))) {
      return { delivery: id, proof: { vouched: 'shared-secret', covers, signature, time } };
    }
  }
  throw refused('signature-invalid', `no signature in ${name('signature')} is by a secret or key of this source`);
}

function publicKey(text: string): KeyObject | null {
  const raw = text.startsWith(KEY_PREFIX) ? parsed(() => fromBase64(text.slice(KEY_PREFIX.length))) : null;
  if (raw?.length !== 32) return null;
  return createPublicKey({ key: Buffer.from(concat(SPKI, raw)), format: 'der', type: 'spki' });
}
