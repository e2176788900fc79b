// Google Cloud Pub/Sub push with authentication: a JWT (RFC 7519) of Google's in Authorization. It says who sends, and
// covers neither the body nor an id.

import { createHash } from 'node:crypto';
import { createLocalJWKSet, decodeProtectedHeader, errors, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose';
import { z } from 'zod';
import { AntequemError } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import { type Json, JsonObject } from '../ingest/json.ts';
import { deliveryHeader, type Grounds, type Head, refused, requiredHeader, scheme, type Verified } from './scheme.ts';

/** Google's keys, which it replaces every few days. */
const KEYS_URL = new URL('https://www.googleapis.com/oauth2/v3/certs');
const KEYS_LIFETIME_MS = 3_600_000;
/** Between two looks for a key that is not there: anybody can name one. */
const KEYS_PAUSE_MS = 60_000;
const FAILURE_PAUSE_MS = 5_000;
const TOLERANCE_SECONDS = 60;
/** Where the id is if the subscription unwraps payloads and writes metadata. */
const MESSAGE_ID_HEADER = 'x-goog-pubsub-message-id';

const keysForm = z.object({
  keys: z
    .array(z.looseObject({ kty: z.literal('RSA') }))
    .min(1)
    .max(20),
});
const settingsForm = z.strictObject({
  audience: z.string().min(1).max(1_024).meta({ description: 'The audience that the subscription names.' }),
  email: z.email().max(256).meta({ description: 'The service account that the subscription names.' }),
  issuer: z
    .string()
    .min(1)
    .max(256)
    .default('https://accounts.google.com')
    .meta({ description: 'Who issued the token.' }),
  keys: keysForm.nullable().default(null).meta({
    description: 'The keys of the issuer as a JWK set. Without it the keys that Google publishes are fetched.',
  }),
});
type PubsubSettings = z.output<typeof settingsForm>;

export const pubsub = scheme(settingsForm, 'none', (settings) => {
  const keys = new IssuerKeys(settings.keys);
  return {
    admit: async (head, grounds) => {
      await checkToken(head, grounds, settings, keys);
    },
    verify: async (delivery, grounds) => verified(delivery, await checkToken(delivery, grounds, settings, keys)),
    idOf: messageId,
    // Beside the message stands how often it was tried.
    lastingPart: messageOf,
  };
});

interface Token {
  readonly text: string;
  readonly claims: JWTPayload;
}

async function checkToken(
  head: Head,
  { now, outside }: Grounds,
  { audience, email, issuer }: PubsubSettings,
  keys: IssuerKeys,
): Promise<Token> {
  const [, text] =
    /^bearer +([A-Za-z0-9_=-]+\.[A-Za-z0-9_=-]+\.[A-Za-z0-9_=-]+)$/i.exec(requiredHeader(head, 'authorization')) ?? [];
  if (text === undefined) throw refused('signature-missing', 'the header authorization holds no JWT');
  // Before the issuer is asked for anything.
  if (algorithmOf(text) !== 'RS256') throw refused('signature-invalid', 'the JWT is not signed by RS256');
  const check = async (set: JSONWebKeySet): Promise<JWTPayload> => {
    const { payload } = await jwtVerify(text, createLocalJWKSet(set), {
      algorithms: ['RS256'],
      audience,
      issuer,
      clockTolerance: TOLERANCE_SECONDS,
      currentDate: new Date(now),
      requiredClaims: ['exp'],
    });
    return payload;
  };
  try {
    const claims = await keys.with(outside, now, check);
    if (claims.email !== email || claims.email_verified !== true) {
      throw refused('signature-invalid', 'the JWT is of another service account');
    }
    return { text, claims };
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw refused('signature-late', 'the JWT has expired');
    if (error instanceof errors.JOSEError) throw refused('signature-invalid', `the JWT does not hold: ${error.code}`);
    throw error;
  }
}

function algorithmOf(token: string): string | null {
  try {
    return decodeProtectedHeader(token).alg ?? null;
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

/** Of the token its header, claims and hash: the token itself would let its reader send. */
function verified(head: Head, { text, claims }: Token): Verified {
  return {
    delivery: deliveryHeader(head, MESSAGE_ID_HEADER),
    proof: {
      vouched: 'token',
      covers: [],
      details: {
        header: JSON.stringify(decodeProtectedHeader(text)),
        claims: JSON.stringify(claims),
        tokenSha256: createHash('sha256').update(text).digest('hex'),
      },
    },
  };
}

/** The keys of an issuer: those that were given, or those that Google publishes now. */
class IssuerKeys {
  readonly #given: JSONWebKeySet | null;
  #fetched: { readonly set: JSONWebKeySet; readonly at: number } | null = null;
  #triedAt = Number.NEGATIVE_INFINITY;

  constructor(given: JSONWebKeySet | null) {
    this.#given = given;
  }

  /** Fetches the keys anew where they are old, or lack the one that is named. */
  async with<T>(outside: Grounds['outside'], now: number, check: (set: JSONWebKeySet) => Promise<T>): Promise<T> {
    if (this.#given !== null) return check(this.#given);
    const known = this.#fetched;
    if (known === null || Math.abs(now - known.at) > KEYS_LIFETIME_MS) return check(await this.#fetch(outside, now));
    try {
      return await check(known.set);
    } catch (error) {
      const early = Math.abs(now - this.#triedAt) < KEYS_PAUSE_MS;
      if (!(error instanceof errors.JWKSNoMatchingKey) || early) throw error;
      return check(await this.#fetch(outside, now));
    }
  }

  /** @throws AntequemError `sender-unreachable` */
  async #fetch(outside: Grounds['outside'], now: number): Promise<JSONWebKeySet> {
    if (this.#fetched === null && Math.abs(now - this.#triedAt) < FAILURE_PAUSE_MS) throw unreachable();
    this.#triedAt = now;
    try {
      const set = keysForm.parse(parseJson(await outside.get(KEYS_URL)));
      this.#fetched = { set, at: now };
      return set;
    } catch (cause) {
      throw unreachable(cause);
    }
  }
}

function unreachable(cause?: unknown): AntequemError {
  return new AntequemError('sender-unreachable', 'the keys of Google cannot be fetched', { cause });
}

/** The message of a push that is not unwrapped; null: it is. */
function messageOf(event: Json): JsonObject | null {
  const message = event instanceof JsonObject ? event.get('message') : null;
  return message instanceof JsonObject && typeof message.get('messageId') === 'string' ? message : null;
}

function messageId(event: Json): string | null {
  const id = messageOf(event)?.get('messageId');
  return typeof id === 'string' ? id : null;
}
