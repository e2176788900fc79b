// Signatures of Standard Webhooks: they show a receiver that a message is authentic and recent.

import { createHmac } from 'node:crypto';

const PREFIX = 'whsec_';

/** A secret in the form that receivers' libraries expect: `whsec_` and base64. */
export function formatSecret(secret: Uint8Array): string {
  return PREFIX + Buffer.from(secret).toString('base64');
}

/**
 * The headers of one attempt. @param at time of the attempt, milliseconds since the Unix epoch
 * @param secret every secret signs: receivers accept a message if one of the signatures is valid
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
