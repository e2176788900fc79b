// Amazon SNS over HTTP(S): RSA signatures over named fields, by a certificate that the message points to. Fields and order:
// "Verifying the signatures of Amazon SNS messages" in Amazon's documentation.

import { verify, X509Certificate } from 'node:crypto';
import { z } from 'zod';
import { fromBase64, utf8 } from '../core/bytes.ts';
import { AntequemError, parsed } from '../core/errors.ts';
import { LruCache } from '../core/lru.ts';
import { ItemFault } from '../ingest/item-fault.ts';
import { type Json, JsonObject, readJson } from '../ingest/json.ts';
import { checkTime, type Grounds, type Outside, refused, type SenderReply, scheme, type Verified } from './scheme.ts';

/** `arn:partition:sns:region:account:name` */
const TOPIC = /^arn:(aws|aws-cn|aws-us-gov):sns:([a-z]{2}(?:-[a-z]+)+-\d):\d{12}:[A-Za-z0-9_-]{1,256}(?:\.fifo)?$/;
const CERTIFICATE_PATH = /^\/SimpleNotificationService-[0-9a-f]{32}\.pem$/;
const MAX_CERTIFICATES = 100;
const FAILURE_PAUSE_MS = 30_000;

const settingsForm = z.strictObject({
  topicArns: z
    .array(z.string().regex(TOPIC, 'not the ARN of an SNS topic'))
    .min(1)
    .max(20)
    .meta({ description: 'The topics that may send.' }),
  toleranceSeconds: z
    .int()
    .min(60)
    .max(7 * 86_400)
    .default(7_200)
    .meta({ description: 'How many seconds old a message may be. SNS signs once and tries for an hour by default.' }),
});
type SnsSettings = z.output<typeof settingsForm>;

const NOTIFICATION = ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'] as const;
const CONFIRMATION = ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'] as const;
const COVERED: Readonly<Record<string, readonly string[]>> = {
  Notification: NOTIFICATION,
  SubscriptionConfirmation: CONFIRMATION,
  UnsubscribeConfirmation: CONFIRMATION,
};
const HASHES: Readonly<Record<string, string>> = { 1: 'RSA-SHA1', 2: 'RSA-SHA256' };

export const sns = scheme(settingsForm, 'none', (settings) => {
  const certificates = new Certificates();
  return {
    verify: ({ body }, grounds) => verified(body, grounds, settings, certificates),
    control: (_head, event, { outside }) => confirmed(event, outside),
    // Whoever has it can end the subscription; no signature covers it.
    omitted: ['UnsubscribeURL'],
  };
});

async function verified(
  body: Uint8Array,
  { now, outside }: Grounds,
  { topicArns, toleranceSeconds }: SnsSettings,
  certificates: Certificates,
): Promise<Verified> {
  const message = readMessage(body);
  const fields = COVERED[field(message, 'Type')];
  if (fields === undefined) throw refused('signature-invalid', 'the Type of the message is unknown');
  const topic = field(message, 'TopicArn');
  if (!topicArns.includes(topic))
    throw refused('signature-invalid', 'the message is of a topic that this source is not for');
  const hash = HASHES[field(message, 'SignatureVersion')];
  if (hash === undefined) throw refused('signature-invalid', 'the SignatureVersion is neither 1 nor 2');
  const time = field(message, 'Timestamp');
  const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z$/.test(time) ? Date.parse(time) : Number.NaN;
  if (Number.isNaN(at)) throw refused('signature-invalid', 'the Timestamp of the message is no time');
  checkTime(at, toleranceSeconds, now);
  const text = field(message, 'Signature');
  const signature = parsed(() => fromBase64(text));
  const present = fields.filter((name) => message.get(name) !== undefined);
  const signed = utf8(present.map((name) => `${name}\n${field(message, name)}\n`).join(''));
  const certificate = await certificates.get(certificateUrl(field(message, 'SigningCertURL'), topic), now, outside);
  if (now < certificate.validFromDate.getTime() || now > certificate.validToDate.getTime()) {
    throw refused('signature-invalid', 'the certificate of the message is not valid now');
  }
  if (signature === null || !verify(hash, signed, certificate.publicKey, signature)) {
    throw refused('signature-invalid', 'the signature is not by the certificate of the message');
  }
  return {
    delivery: field(message, 'MessageId').slice(0, 256),
    proof: {
      vouched: 'public-key',
      covers: present,
      signature: text,
      time,
      details: { hash, certificate: certificate.raw.toString('base64') },
    },
  };
}

function readMessage(body: Uint8Array): JsonObject {
  try {
    const message = readJson(body);
    if (message instanceof JsonObject) return message;
  } catch (error) {
    if (!(error instanceof ItemFault)) throw error;
  }
  throw refused('signature-missing', 'the body is no message of SNS: leave raw message delivery off');
}

/** @throws AntequemError `signature-missing` */
function field(message: JsonObject, name: string): string {
  const value = message.get(name);
  if (typeof value !== 'string') throw refused('signature-missing', `the message has no ${name}`);
  return value;
}

/** Where SNS of a topic's region answers. */
function hostOf(topic: string): string {
  const [, partition, region] = TOPIC.exec(topic) ?? [];
  return `sns.${region}.amazonaws.com${partition === 'aws-cn' ? '.cn' : ''}`;
}

function certificateUrl(text: string, topic: string): URL {
  const url = URL.parse(text);
  if (
    url === null ||
    url.origin !== `https://${hostOf(topic)}` ||
    !CERTIFICATE_PATH.test(url.pathname) ||
    url.search !== ''
  ) {
    throw refused('signature-invalid', `the certificate of the message is not one of ${hostOf(topic)}`);
  }
  return url;
}

/** Confirms a subscription where the message asks for it. */
async function confirmed(event: Json | null, outside: Outside): Promise<SenderReply | null> {
  if (!(event instanceof JsonObject) || event.get('Type') !== 'SubscriptionConfirmation') return null;
  const url = URL.parse(field(event, 'SubscribeURL'));
  const host = hostOf(field(event, 'TopicArn'));
  if (url === null || url.origin !== `https://${host}` || url.username !== '' || url.password !== '') {
    throw refused('signature-invalid', `the SubscribeURL of the message does not lead to ${host}`);
  }
  try {
    await outside.get(url);
  } catch (cause) {
    throw new AntequemError('sender-unreachable', `the subscription cannot be confirmed at ${host}`, { cause });
  }
  return { body: null };
}

/** Certificates by their URL. Anybody can name one: what cannot be fetched is left alone for a while. */
class Certificates {
  readonly #known = new LruCache<string, { readonly found: Promise<X509Certificate>; failedAt: number | null }>(
    MAX_CERTIFICATES,
  );

  async get(url: URL, now: number, outside: Outside): Promise<X509Certificate> {
    const known = this.#known.get(url.href);
    const retry = known?.failedAt != null && Math.abs(now - known.failedAt) > FAILURE_PAUSE_MS;
    if (known !== undefined && !retry) return known.found;
    const entry: { readonly found: Promise<X509Certificate>; failedAt: number | null } = {
      found: outside
        .get(url)
        .then((pem) => new X509Certificate(pem))
        .catch((cause: unknown) => {
          entry.failedAt = now;
          throw new AntequemError('sender-unreachable', `the certificate of ${url.host} cannot be fetched`, { cause });
        }),
      failedAt: null,
    };
    this.#known.set(url.href, entry);
    return entry.found;
  }
}
