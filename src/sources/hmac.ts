// An HMAC over the body, in a header. GitHub, Snyk, Vercel and many others sign so.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import {
  deliveryHeader,
  type Grounds,
  type Proof,
  refused,
  requiredHeader,
  type SignedRequest,
  scheme,
  type Verified,
} from './scheme.ts';

export const headerName = z
  .string()
  .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/, 'not the name of a header')
  .toLowerCase();

const settingsForm = z.strictObject({
  header: headerName.meta({ description: 'The header with the signature.' }),
  hash: z.enum(['sha1', 'sha256', 'sha512']).default('sha256').meta({ description: 'The hash function.' }),
  encoding: z.enum(['hex', 'base64']).default('hex').meta({ description: 'How the signature is written.' }),
  prefix: z
    .string()
    .max(40)
    .default('')
    .meta({ description: 'Text before the signature in its header, such as sha256=.' }),
  deliveryHeader: headerName.nullable().default(null).meta({ description: 'The header with the id of a delivery.' }),
  eventHeader: headerName.nullable().default(null).meta({
    description: 'The header with the type of the event. Events of the type ping are answered and not logged.',
  }),
});
type HmacSettings = z.output<typeof settingsForm>;

export const hmac = scheme(settingsForm, 'text', (settings) => ({
  verify: (delivery, grounds) => verified(delivery, grounds, settings),
  control: ({ headers }) =>
    settings.eventHeader !== null && /^ping(\/|$)/.test(headers[settings.eventHeader] ?? '') ? { body: null } : null,
}));

function verified(delivery: SignedRequest, grounds: Grounds, settings: HmacSettings): Verified {
  return { delivery: deliveryHeader(delivery, settings.deliveryHeader), proof: bodyProof(delivery, grounds, settings) };
}

/** Checks a signature over the body. @throws AntequemError `signature-missing`, `signature-invalid` */
export function bodyProof(
  delivery: SignedRequest,
  { secrets }: Grounds,
  { header, hash, encoding, prefix }: Pick<HmacSettings, 'header' | 'hash' | 'encoding' | 'prefix'>,
): Proof {
  const signature = requiredHeader(delivery, header);
  const value = signature.startsWith(prefix) ? signatureBytes(signature.slice(prefix.length), encoding) : null;
  const valid = secrets.some((secret) => {
    const mac = createHmac(hash, secret).update(delivery.body).digest();
    return value?.length === mac.length && timingSafeEqual(value, mac);
  });
  if (!valid) throw refused('signature-invalid', `the signature in ${header} is not by a secret of this source`);
  return { vouched: 'shared-secret', covers: ['body'], signature, details: { hash } };
}

/** Null for text that is not in this encoding. */
export function signatureBytes(text: string, encoding: 'hex' | 'base64'): Buffer | null {
  const form = encoding === 'hex' ? /^([0-9a-f]{2})+$/i : /^[A-Za-z0-9+/]+={0,2}$/;
  return form.test(text) ? Buffer.from(text, encoding) : null;
}
