// What every scheme of signed webhooks has in common: a request as it came, what was checked of it, and why it is refused.

import { createHash, timingSafeEqual } from 'node:crypto';
import type { z } from 'zod';
import { AntequemError } from '../core/errors.ts';
import type { Json } from '../ingest/json.ts';

/** A request without its body. */
export interface Head {
  readonly method: string;
  /** By name in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Parameters of the query that were given once. */
  readonly query: Readonly<Record<string, string>>;
}

/** A request with its body, byte for byte as it came: still compressed where the sender compressed it. */
export interface SignedRequest extends Head {
  readonly body: Uint8Array;
}

/** What a request is checked against. */
export interface Grounds {
  /** The newest first; several while one is being replaced. */
  readonly secrets: readonly string[];
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  readonly outside: Outside;
}

/** What schemes ask of the network. They ask fixed hosts only. */
export interface Outside {
  /** The body of the answer to a GET, small and in time, without following redirects. Rejects unless the status is 200. */
  get(url: URL): Promise<Uint8Array>;
}

/** Who can check what the entry says about its sender. */
export const VOUCHERS = {
  'shared-secret': 'by a shared secret, which the operator has too',
  'public-key': 'by a public key: anybody can check the signature',
  token: 'by a bearer token of the sender, which does not cover the body',
} as const;

/** What was checked, as the entry tells it. Never a secret. */
export interface Proof {
  readonly vouched: keyof typeof VOUCHERS;
  /** Names of the headers, and `body`, or fields of the body, that the signature covers; none for a secret header. */
  readonly covers: readonly string[];
  /** The signature as it came; absent where it is the secret itself. */
  readonly signature?: string;
  /** The time that the signature covers, as the sender wrote it. */
  readonly time?: string;
  /** What else is needed to check the signature: keys, certificates, claims. */
  readonly details?: Readonly<Record<string, string>>;
}

/** A request that was verified. */
export interface Verified {
  /** What the sender calls this delivery; null: nothing. */
  readonly delivery: string | null;
  readonly proof: Proof;
}

/** What a sender is answered instead of the usual. */
export interface SenderReply {
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON, or null for no body. */
  readonly body: Readonly<Record<string, string>> | null;
}

/** Checks the requests of one source. */
export interface SenderCheck {
  /** The answer to a GET or OPTIONS by which a sender asks whether it may send; null: it is none. */
  greet?(head: Head): SenderReply | null;
  /** Headers of every answer at the address, refusals too, by which the sender knows that the address is right. */
  readonly answerHeaders?: Readonly<Record<string, string>>;
  /** The answer to a request without a signature that brings nothing, since the sender only tries the address; null: it is none. */
  probe?(delivery: SignedRequest): SenderReply | null;
  /** Checks what the headers alone prove, before the body is read. @throws AntequemError, see `refused` */
  admit?(head: Head, grounds: Grounds): void | Promise<void>;
  /** @throws AntequemError, see `refused` */
  verify(delivery: SignedRequest, grounds: Grounds): Verified | Promise<Verified>;
  /**
   * The answer to a verified request that brings no event: a ping or a challenge; null: it brings one.
   * @param event the body; null: it is not JSON
   */
  control?(delivery: Head, event: Json | null, grounds: Grounds): SenderReply | null | Promise<SenderReply | null>;
  /** Whether arrays and lines are entries of their own. Default: the body is one event. */
  readonly items?: true;
  /** What the sender calls an event, where no header says so; null: nothing. */
  idOf?(event: Json): string | null;
  /** The part of an event that is the same when the sender sends it again; null: all of the body. */
  lastingPart?(event: Json): Json | null;
  /** Members of an event that are not logged. */
  readonly omitted?: readonly string[];
}

/** What a source of a scheme needs. */
export type SecretForm = 'none' | 'text' | 'whsec';

export interface Scheme {
  /** What its settings are. */
  readonly form: z.ZodType;
  /** False where the sender signs by a key of its own, whatever the settings. */
  readonly hasSecret: boolean;
  /** @throws ZodError */
  parse(settings: unknown): { readonly settings: object; readonly secret: SecretForm; open(): SenderCheck };
}

/** A scheme by the schema of its settings. */
export function scheme<T extends object>(
  schema: z.ZodType<T>,
  secret: SecretForm | ((settings: T) => SecretForm),
  open: (settings: T) => SenderCheck,
): Scheme {
  return {
    form: schema,
    hasSecret: secret !== 'none',
    parse: (given) => {
      const settings = schema.parse(given);
      return {
        settings,
        secret: typeof secret === 'string' ? secret : secret(settings),
        open: () => open(settings),
      };
    },
  };
}

export type SignatureFault = 'signature-missing' | 'signature-invalid' | 'signature-late';

/** Why a request does not count as the sender's. All are answered 401. */
export function refused(code: SignatureFault, says: string): AntequemError {
  return new AntequemError(code, says);
}

const MAX_HEADER_CHARACTERS = 8_192;

/** @throws AntequemError `signature-missing` */
export function requiredHeader({ headers }: Head, name: string): string {
  const value = headers[name];
  if (value === undefined || value === '') throw refused('signature-missing', `there is no header ${name}`);
  if (value.length > MAX_HEADER_CHARACTERS) throw refused('signature-invalid', `the header ${name} is too long`);
  return value;
}

const DELIVERY_ID = /^[\x21-\x7e]{1,256}$/;

/** The id of a delivery in a header that no signature covers. Null where there is none, or an odd one: the event counts. */
export function deliveryHeader({ headers }: Head, name: string | null): string | null {
  const id = name === null ? undefined : headers[name];
  return id !== undefined && DELIVERY_ID.test(id) ? id : null;
}

/** The id of a delivery in a header that the signature covers. @throws AntequemError `signature-missing`, `signature-invalid` */
export function signedDeliveryHeader(head: Head, name: string): string {
  const id = requiredHeader(head, name);
  if (DELIVERY_ID.test(id)) return id;
  throw refused('signature-invalid', `the header ${name} must have 1 to 256 visible ASCII characters`);
}

/**
 * Seconds since the Unix epoch in a header. @throws AntequemError `signature-late` where it is further from now than the
 * tolerance, `signature-invalid`
 */
export function checkSeconds(text: string, toleranceSeconds: number, now: number): void {
  if (!/^\d{1,12}$/.test(text)) {
    throw refused('signature-invalid', 'the time of the signature is not a number of seconds');
  }
  checkTime(Number(text) * 1_000, toleranceSeconds, now);
}

/** @param at milliseconds since the Unix epoch. @throws AntequemError `signature-late` */
export function checkTime(at: number, toleranceSeconds: number, now: number): void {
  if (Math.abs(now - at) <= toleranceSeconds * 1_000) return;
  const side = at < now ? 'before' : 'after';
  throw refused(
    'signature-late',
    `the request was signed more than ${toleranceSeconds} s ${side} it arrived, by the clock of this service`,
  );
}

/** Compares what may have any length without telling by its time how much is equal. */
export function sameSecret(a: string | Uint8Array, b: string | Uint8Array): boolean {
  const hash = (value: string | Uint8Array): Buffer => createHash('sha256').update(value).digest();
  return timingSafeEqual(hash(a), hash(b));
}
