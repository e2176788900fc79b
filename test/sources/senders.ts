// Requests of senders, signed by their own libraries where a registry has one, else as their documentation says.

import { createHmac, createPrivateKey, generateKeyPairSync, type KeyObject, sign as signBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { sign as signForGitHub } from '@octokit/webhooks-methods';
import { SignJWT } from 'jose';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import Stripe from 'stripe';
import { Webhook as SvixWebhook } from 'svix';
import type { Outside } from '../../src/sources/scheme.ts';

/** A request as its sender makes it. */
export interface SentRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

export interface Sender {
  readonly name: string;
  /** What made the signature. */
  readonly by: string;
  readonly scheme: string;
  readonly settings?: object;
  /** An old and a new secret; none: the sender signs by a key of its own. */
  readonly secrets: readonly [string, string] | null;
  /** Whether the signature covers the body, and the time. */
  readonly covers: { readonly body: boolean; readonly time: boolean };
  /** It sends the same bytes when it tries again, not a newer signature. */
  readonly signsOnce?: true;
  /** @param at milliseconds since the Unix epoch */
  request(secret: string, body: string, at: number): SentRequest | Promise<SentRequest>;
}

const WHSEC: [string, string] = [
  `whsec_${Buffer.from('an old secret of 24 byte').toString('base64')}`,
  `whsec_${Buffer.from('a new secret of 24 bytes').toString('base64')}`,
];
const TEXT: [string, string] = ['an old secret that is long enough', 'a new secret that is long enough'];
const json = { 'content-type': 'application/json' };

const ed25519 = generateKeyPairSync('ed25519');
const WHPK = `whpk_${ed25519.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64')}`;

const TOPIC = 'arn:aws:sns:eu-west-1:123456789012:audit';
const CERTIFICATE_URL = `https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-${'0a'.repeat(16)}.pem`;
const snsKey = createPrivateKey(readFileSync(new URL('sns-key.pem', import.meta.url)));
const snsCertificate = readFileSync(new URL('sns-certificate.pem', import.meta.url));

const google = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const googleKeys = { keys: [{ ...google.publicKey.export({ format: 'jwk' }), kty: 'RSA', kid: 'one', alg: 'RS256' }] };

/** What SNS and Google answer; `asked` fills with what was asked. */
export function fakeOutside(asked: string[] = []): Outside {
  return {
    get: async ({ href }) => {
      asked.push(href);
      if (href === CERTIFICATE_URL || href.startsWith('https://sns.eu-west-1.amazonaws.com/?')) return snsCertificate;
      if (href === 'https://www.googleapis.com/oauth2/v3/certs') return Buffer.from(JSON.stringify(googleKeys));
      throw new Error(`nothing is at ${href}`);
    },
  };
}

/** A message of SNS, signed as its documentation says. */
export function snsMessage(fields: Readonly<Record<string, string>>, key: KeyObject = snsKey): SentRequest {
  const message = {
    TopicArn: TOPIC,
    MessageId: 'a1b2c3d4-0000-4000-8000-000000000001',
    SignatureVersion: '2',
    ...fields,
  };
  const covered = ['Message', 'MessageId', 'Subject', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'];
  const members = Object.entries(message).filter(([name]) => covered.includes(name));
  const text = members.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => `${name}\n${value}\n`);
  const hash = message.SignatureVersion === '1' ? 'RSA-SHA1' : 'RSA-SHA256';
  const signed = {
    ...message,
    Signature: signBytes(hash, Buffer.from(text.join('')), key).toString('base64'),
    SigningCertURL: fields.SigningCertURL ?? CERTIFICATE_URL,
    UnsubscribeURL: 'https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=…',
  };
  return { headers: { 'content-type': 'text/plain; charset=UTF-8' }, body: JSON.stringify(signed) };
}

/** A push of Pub/Sub with the token of a service account. */
export async function pubsubPush(
  claims: object,
  body: string,
  at: number,
  key = google.privateKey,
): Promise<SentRequest> {
  const seconds = Math.floor(at / 1_000);
  const token = await new SignJWT({ email: 'push@example.iam.gserviceaccount.com', email_verified: true, ...claims })
    .setProtectedHeader({ alg: 'RS256', kid: 'one', typ: 'JWT' })
    .setIssuer('https://accounts.google.com')
    .setAudience('https://antequem.example')
    .setIssuedAt(seconds)
    .setExpirationTime(seconds + 3_600)
    .sign(key);
  const message = {
    data: Buffer.from(body).toString('base64'),
    messageId: '136969346945',
    publishTime: '2026-01-01T00:00:00Z',
  };
  const push = JSON.stringify({ message, subscription: 'projects/example/subscriptions/audit' });
  return { headers: { ...json, authorization: `Bearer ${token}` }, body: push };
}

function secretHeaderSender(name: string, header: string, shape: 'plain' | 'gzip'): Sender {
  return {
    name,
    by: 'documentation',
    scheme: name,
    secrets: TEXT,
    covers: { body: false, time: false },
    request: (secret, body) =>
      shape === 'plain'
        ? { headers: { 'content-type': 'application/x-www-form-urlencoded', [header]: secret }, body }
        : {
            headers: { 'content-type': 'text/plain', 'content-encoding': 'gzip', [header]: secret },
            body: gzipSync(body),
          },
  };
}

export const SENDERS: readonly Sender[] = [
  {
    name: 'standard-webhooks',
    by: 'standardwebhooks (npm)',
    scheme: 'standard-webhooks',
    secrets: WHSEC,
    covers: { body: true, time: true },
    request: (secret, body, at) => ({
      headers: {
        ...json,
        'webhook-id': 'msg_1',
        'webhook-timestamp': String(Math.floor(at / 1_000)),
        'webhook-signature': new StandardWebhook(secret).sign('msg_1', new Date(at), body),
      },
      body,
    }),
  },
  {
    name: 'svix',
    by: 'svix (npm)',
    scheme: 'svix',
    secrets: WHSEC,
    covers: { body: true, time: true },
    request: (secret, body, at) => ({
      headers: {
        ...json,
        'svix-id': 'msg_2',
        'svix-timestamp': String(Math.floor(at / 1_000)),
        // As while Svix replaces a secret: one signature by each.
        'svix-signature': `v1,${'A'.repeat(43)}= ${new SvixWebhook(secret).sign('msg_2', new Date(at), body)}`,
      },
      body,
    }),
  },
  {
    name: 'standard-webhooks v1a',
    by: 'specification',
    scheme: 'standard-webhooks',
    settings: { publicKeys: [WHPK] },
    secrets: null,
    covers: { body: true, time: true },
    request: (_secret, body, at) => {
      const time = String(Math.floor(at / 1_000));
      const signature = signBytes(null, Buffer.from(`msg_3.${time}.${body}`), ed25519.privateKey).toString('base64');
      return {
        headers: { ...json, 'webhook-id': 'msg_3', 'webhook-timestamp': time, 'webhook-signature': `v1a,${signature}` },
        body,
      };
    },
  },
  {
    name: 'github',
    by: '@octokit/webhooks-methods (npm)',
    scheme: 'github',
    secrets: TEXT,
    covers: { body: true, time: false },
    request: async (secret, body) => ({
      headers: {
        ...json,
        'x-github-event': 'push',
        'x-github-delivery': '72d3162e-cc78-11e3-81ab-4c9367dc0958',
        'x-hub-signature-256': await signForGitHub(secret, body),
      },
      body,
    }),
  },
  {
    name: 'snyk',
    by: 'documentation',
    scheme: 'snyk',
    secrets: TEXT,
    covers: { body: true, time: false },
    request: (secret, body) => ({
      headers: {
        ...json,
        'x-snyk-event': 'project_snapshot/v0',
        'x-snyk-transport-id': '998fe884-18a0-45db-8ae0-e379eea3bc0a',
        'x-hub-signature': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
      },
      body,
    }),
  },
  {
    name: 'vercel',
    by: 'documentation',
    scheme: 'vercel',
    secrets: TEXT,
    covers: { body: true, time: false },
    request: (secret, body) => ({
      headers: { ...json, 'x-vercel-signature': createHmac('sha1', secret).update(body).digest('hex') },
      body,
    }),
  },
  {
    name: 'vercel-drain',
    by: 'documentation',
    scheme: 'vercel-drain',
    settings: { verify: 'd394968241b1d8d5870c2670f54fc1a2a9bdf8eb' },
    secrets: TEXT,
    covers: { body: true, time: false },
    request: (secret, body) => {
      const lines = `${body}\n`;
      const signature = createHmac('sha1', secret).update(lines).digest('hex');
      return { headers: { 'content-type': 'application/x-ndjson', 'x-vercel-signature': signature }, body: lines };
    },
  },
  {
    name: 'stripe',
    by: 'stripe (npm)',
    scheme: 'stripe',
    secrets: TEXT,
    covers: { body: true, time: true },
    request: (secret, payload, at) => {
      const header = Stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp: Math.floor(at / 1_000) });
      return { headers: { ...json, 'stripe-signature': header }, body: payload };
    },
  },
  {
    name: 'slack',
    by: 'documentation',
    scheme: 'slack',
    secrets: TEXT,
    covers: { body: true, time: true },
    request: (secret, body, at) => {
      const time = String(Math.floor(at / 1_000));
      const mac = createHmac('sha256', secret).update(`v0:${time}:${body}`).digest('hex');
      return { headers: { ...json, 'x-slack-request-timestamp': time, 'x-slack-signature': `v0=${mac}` }, body };
    },
  },
  secretHeaderSender('auth0', 'authorization', 'plain'),
  secretHeaderSender('okta', 'authorization', 'plain'),
  secretHeaderSender('cloudflare', 'authorization', 'gzip'),
  secretHeaderSender('datadog', 'authorization', 'gzip'),
  secretHeaderSender('gitlab', 'x-gitlab-event-streaming-token', 'plain'),
  {
    name: 'sns',
    by: 'documentation',
    scheme: 'sns',
    settings: { topicArns: [TOPIC] },
    signsOnce: true,
    secrets: null,
    covers: { body: true, time: true },
    request: (_secret, body, at) =>
      snsMessage({ Type: 'Notification', Message: body, Timestamp: new Date(at).toISOString() }),
  },
  {
    name: 'event-grid',
    by: 'documentation',
    scheme: 'event-grid',
    secrets: TEXT,
    covers: { body: false, time: false },
    request: (secret, body) => ({
      headers: { ...json, 'aeg-event-type': 'Notification', 'aeg-subscription-name': 'AUDIT' },
      query: { secret },
      body: JSON.stringify([{ id: '1807', eventType: 'recordInserted', data: JSON.parse(body) }]),
    }),
  },
  {
    name: 'pubsub',
    by: 'jose (npm)',
    scheme: 'pubsub',
    settings: { audience: 'https://antequem.example', email: 'push@example.iam.gserviceaccount.com' },
    secrets: null,
    covers: { body: false, time: true },
    request: (_secret, body, at) => pubsubPush({}, body, at),
  },
];
