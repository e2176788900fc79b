// Standard Webhooks: how a receiver knows that a message is ours and fresh.

import { createHmac } from 'node:crypto';

const PREFIX = 'whsec_';

/** A secret as receivers' libraries take it: `whsec_` and base64. */
export function formatSecret(secret: Uint8Array): string {
  return PREFIX + Buffer.from(secret).toString('base64');
}

/**
 * The headers of one attempt. @param at milliseconds since the Unix epoch, of the attempt
 * @param secret of several each signs: receivers take a message if one of them is theirs
 */
export function signedHeaders(
  secret: Uint8Array | readonly Uint8Array[],
  message: { readonly id: string; readonly at: number; readonly body: string },
): Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string> {
  const seconds = Math.floor(message.at / 1_000);
  const secrets = secret instanceof Uint8Array ? [secret] : secret;
  const signatures = secrets.map((each) => {
    const mac = createHmac('sha256', each).update(`${message.id}.${seconds}.${message.body}`).digest('base64');
    return `v1,${mac}`;
  });
  return {
    'webhook-id': message.id,
    'webhook-timestamp': String(seconds),
    'webhook-signature': signatures.join(' '),
  };
}
