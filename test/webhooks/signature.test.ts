import { randomBytes } from 'node:crypto';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import { expect, test } from 'vitest';
import { formatSecret, signedHeaders } from '../../src/webhooks/signature.ts';

const secret = new Uint8Array(randomBytes(32));
const message = { id: 'msg_1', at: Date.now(), body: '{"type":"round.closed","data":{"é":"…"}}' };

test('the library of the standard accepts our signatures', () => {
  const receiver = new Webhook(formatSecret(secret));
  expect(receiver.verify(message.body, signedHeaders(secret, message))).toEqual(JSON.parse(message.body));
});

test('a receiver with one of several secrets accepts the message', () => {
  const older = new Uint8Array(randomBytes(32));
  const headers = signedHeaders([secret, older], message);
  for (const each of [secret, older]) {
    expect(new Webhook(formatSecret(each)).verify(message.body, headers)).toEqual(JSON.parse(message.body));
  }
  const stranger = new Webhook(formatSecret(randomBytes(32)));
  expect(() => stranger.verify(message.body, headers)).toThrow(WebhookVerificationError);
});

test('the library refuses another body, id, time or secret', () => {
  const receiver = new Webhook(formatSecret(secret));
  const headers = signedHeaders(secret, message);
  const refused = (body: string, changed: Partial<typeof headers>, by = receiver): void => {
    expect(() => by.verify(body, { ...headers, ...changed })).toThrow(WebhookVerificationError);
  };
  refused(`${message.body} `, {});
  refused(message.body, { 'webhook-id': 'msg_2' });
  refused(message.body, { 'webhook-timestamp': String(Number(headers['webhook-timestamp']) - 1) });
  refused(message.body, {}, new Webhook(formatSecret(randomBytes(32))));
});

test('an old attempt is refused, so each is signed anew', () => {
  const headers = signedHeaders(secret, { ...message, at: message.at - 600_000 });
  expect(() => new Webhook(formatSecret(secret)).verify(message.body, headers)).toThrow(WebhookVerificationError);
});
