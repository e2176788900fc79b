// Whether the service is a timestamp authority itself (RFC 3161).

import { z } from 'zod';
import { wholeNumber } from './settings.ts';

export interface OwnAuthorityConfig {
  /** PEM: the signer's certificate first, then its chain. */
  readonly certFile: string;
  /** PEM. */
  readonly keyFile: string;
  /** OID. */
  readonly policy: string;
  /** Requests a minute that one address may make. */
  readonly perMinute: number;
}

export const ownAuthorityVariables = {
  TSA_SERVE: z
    .enum(['on', 'off'], 'not on or off')
    .default('off')
    .describe(
      'Whether the service is a timestamp authority (RFC 3161) at `POST /tsa`, where everybody may have digests signed without a key. Local mode turns it on.',
    ),
  TSA_SERVE_CERT_FILE: z
    .string()
    .min(1)
    .optional()
    .describe('Its certificate (PEM), then those below the CA that tokens bring along.'),
  TSA_SERVE_KEY_FILE: z
    .string()
    .min(1)
    .optional()
    .describe('Its private key (PEM): ECDSA on P-256, or RSA of 2,048 bits or more.'),
  TSA_SERVE_POLICY: z
    .string()
    .regex(/^[0-2](?:\.(?:0|[1-9]\d{0,15})){1,20}$/, 'not an OID, such as 1.2.3.4')
    .optional()
    .describe('The OID of the policy that its tokens are by.'),
  TSA_SERVE_RATE: wholeNumber(1, 1_000_000, 'not a whole number from 1 to 1000000')
    .default(600)
    .describe('How many tokens one address (in IPv6 one /64) gets in a minute.'),
};

const REQUIRED = ['TSA_SERVE_CERT_FILE', 'TSA_SERVE_KEY_FILE', 'TSA_SERVE_POLICY'] as const;

/** Settings that only make sense together. */
export function ownAuthorityFaults(set: Readonly<Record<string, string | undefined>>): string[] {
  if (set.TSA_SERVE !== 'on') return [];
  return REQUIRED.filter((name) => set[name] === undefined).map((name) => `${name}: must be set beside TSA_SERVE=on`);
}

/** Null: it is off. */
export function ownAuthorityOf(data: z.output<z.ZodObject<typeof ownAuthorityVariables>>): OwnAuthorityConfig | null {
  const { TSA_SERVE_CERT_FILE: certFile, TSA_SERVE_KEY_FILE: keyFile, TSA_SERVE_POLICY: policy } = data;
  if (data.TSA_SERVE === 'off' || certFile === undefined || keyFile === undefined || policy === undefined) return null;
  return { certFile, keyFile, policy, perMinute: data.TSA_SERVE_RATE };
}
