// Standard Webhooks: how a receiver knows that a message is ours and fresh.

import { createHmac } from 'node:crypto';

const PREFIX = 'whsec_';

/** A secret as receivers' libraries take it: `whsec_` and base64. */
export function formatSecret(secret: Uint8Array): string {
  return PREFIX + Buffer.from(secret).toString('base64');
}

/** The headers of one attempt. @param at milliseconds since the Unix epoch, of the attempt */
export function signedHeaders(
  secret: Uint8Array,
  message: { readonly id: string; readonly at: number; readonly body: string },
): Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string> {
  const seconds = Math.floor(message.at / 1_000);
  const mac = createHmac('sha256', secret).update(`${message.id}.${seconds}.${message.body}`).digest('base64');
  return { 'webhook-id': message.id, 'webhook-timestamp': String(seconds), 'webhook-signature': `v1,${mac}` };
}
