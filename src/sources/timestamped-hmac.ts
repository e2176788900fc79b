// An HMAC over a time and the body: Stripe (`t=…,v1=…` in one header) and Slack (`v0=…`, the time in a header of its own).

import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { JsonObject } from '../ingest/json.ts';
import { headerName, signatureBytes } from './hmac.ts';
import {
  checkSeconds,
  type Grounds,
  refused,
  requiredHeader,
  type SignedRequest,
  scheme,
  type Verified,
} from './scheme.ts';

const settingsForm = z.strictObject({
  header: headerName.meta({ description: 'The header with the signature.' }),
  timestampHeader: headerName
    .nullable()
    .default(null)
    .meta({ description: 'The header with the time. Without it the time is in the header of the signature, as t=.' }),
  version: z
    .string()
    .regex(/^[a-z0-9]{1,10}$/)
    .default('v1')
    .meta({ description: 'The name before a signature: v1=….' }),
  template: z
    .enum(['time.body', 'version:time:body'])
    .default('time.body')
    .meta({ description: 'What the signature covers.' }),
  toleranceSeconds: z
    .int()
    .min(1)
    .max(86_400)
    .default(300)
    .meta({ description: 'How many seconds old a signature may be.' }),
});
type TimestampedSettings = z.output<typeof settingsForm>;

const MAX_PARTS = 32;

export const timestampedHmac = scheme(settingsForm, 'text', (settings) => ({
  verify: (delivery, grounds) => verified(delivery, grounds, settings),
  // Slack asks once, by a signed request, whether the address is right.
  control: (_head, event) => {
    if (!(event instanceof JsonObject) || event.get('type') !== 'url_verification') return null;
    const challenge = event.get('challenge');
    return typeof challenge === 'string' && settings.template === 'version:time:body' ? { body: { challenge } } : null;
  },
}));

function verified(delivery: SignedRequest, { secrets, now }: Grounds, settings: TimestampedSettings): Verified {
  const { header, timestampHeader, version, template, toleranceSeconds } = settings;
  const text = requiredHeader(delivery, header);
  const parts = text.split(',', MAX_PARTS).map((part) => part.trim());
  const valuesOf = (name: string): string[] =>
    parts.flatMap((part) => (part.startsWith(`${name}=`) ? [part.slice(name.length + 1)] : []));
  const [first, second] = valuesOf('t');
  if (timestampHeader === null && second !== undefined) {
    throw refused('signature-invalid', `the header ${header} names two times`);
  }
  const time = timestampHeader === null ? first : requiredHeader(delivery, timestampHeader);
  if (time === undefined) throw refused('signature-missing', `the header ${header} has no t=`);
  checkSeconds(time, toleranceSeconds, now);
  const before = template === 'time.body' ? `${time}.` : `${version}:${time}:`;
  const macs = secrets.map((secret) => createHmac('sha256', secret).update(before).update(delivery.body).digest());
  const signature = valuesOf(version).find((value) => {
    const bytes = signatureBytes(value, 'hex');
    return macs.some((mac) => bytes?.length === mac.length && timingSafeEqual(bytes, mac));
  });
  if (signature === undefined) {
    throw refused('signature-invalid', `no ${version}= in ${header} is by a secret of this source`);
  }
  const covers = [timestampHeader ?? `${header} t`, 'body'];
  const proof = { vouched: 'shared-secret', covers, signature: `${version}=${signature}`, time } as const;
  return { delivery: null, proof };
}
