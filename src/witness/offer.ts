// The log's side of C2SP tlog-witness: one call of add-checkpoint.

import { collectAtMost } from '../core/bounded.ts';
import { toBase64 } from '../core/bytes.ts';
import { checkCosignature, type WitnessKey } from '../core/cosignature.ts';
import { messageOf, parsed } from '../core/errors.ts';
import { type NoteSignature, parseNote } from '../core/note.ts';
import type { WitnessProblemCode } from './problems.ts';

/** Bytes of an answer. A cosignature has about 150, one of ML-DSA-44 3,400; there may be several. */
const MAX_ANSWER = 65_536;

/** A checkpoint for a witness that has cosigned the log's first `old` entries. */
export interface Offer {
  readonly old: number;
  /** Entries of the checkpoint. */
  readonly size: number;
  /** The consistency path from `old` to the checkpoint; empty if `old` is 0 or the size of the checkpoint. */
  readonly path: readonly Uint8Array[];
  /** The signed note. */
  readonly note: string;
}

export type OfferAnswer =
  | { readonly kind: 'cosigned'; readonly line: NoteSignature }
  /** It has cosigned this many entries, not `old`. */
  | { readonly kind: 'conflict'; readonly size: number }
  /** It refuses to cosign; `says` explains why. */
  | { readonly kind: 'refused'; readonly code: RefusalCode; readonly says: string }
  /** It failed on this request; requests for other logs may succeed. */
  | { readonly kind: 'failed'; readonly says: string }
  /** It is unreachable for all logs. */
  | { readonly kind: 'unreachable'; readonly says: string };

export type RefusalCode = Extract<
  WitnessProblemCode,
  'witness-knows-no-log' | 'witness-knows-no-key' | 'witness-refuses' | 'witness-answer-invalid' | 'witness-fork'
>;

/** The body of add-checkpoint. */
function formatOffer({ old, path, note }: Offer): string {
  return `${[`old ${old}`, ...path.map(toBase64)].join('\n')}\n\n${note}`;
}

/** A witness and its address. */
export interface WitnessAddress {
  readonly key: WitnessKey;
  /** The submission prefix. */
  readonly url: string;
}

/** An address below a prefix of a witness. @param path without a slash at its beginning */
export function witnessUrl(prefix: string, path: string): string {
  return `${prefix.replace(/\/+$/, '')}/${path}`;
}

/** Offers a checkpoint once. Faults of the witness are returned, not thrown. */
export async function offerCheckpoint(
  witness: WitnessAddress,
  offer: Offer,
  signal: AbortSignal,
): Promise<OfferAnswer> {
  let response: Response;
  let body: string;
  try {
    response = await fetch(witnessUrl(witness.url, 'add-checkpoint'), {
      method: 'POST',
      body: formatOffer(offer),
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      // Redirects are not followed: only the configured address may be asked.
      redirect: 'error',
      signal,
    });
    body = await textOf(response);
  } catch (error) {
    return { kind: 'unreachable', says: innermost(error) };
  }
  return answerOf(witness.key, offer, response, body);
}

function answerOf(key: WitnessKey, offer: Offer, response: Response, body: string): OfferAnswer {
  const { status } = response;
  const refused = (code: RefusalCode, says: string): OfferAnswer => ({ kind: 'refused', code, says });
  switch (status) {
    case 200: {
      const line = cosignatureIn(key, offer.note, body);
      return line === null
        ? refused(
            'witness-answer-invalid',
            'it answers 200 without a cosignature that is valid under its configured key',
          )
        : { kind: 'cosigned', line };
    }
    case 409: {
      const type = response.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase();
      const [, digits] = /^(0|[1-9]\d{0,15})\n$/.exec(body) ?? [];
      const size = Number(digits);
      const told = type === 'text/x.tlog.size' && digits !== undefined && Number.isSafeInteger(size);
      if (told && (size !== offer.old || size !== offer.size)) return { kind: 'conflict', size };
      if (offer.old === offer.size && offer.old > 0) {
        return refused(
          'witness-fork',
          `it answers 409 to a checkpoint of the size that it has cosigned (${offer.size}): it may have cosigned another ` +
            'tree of that size. Compare its checkpoint with ours, and check whether the database was restored from an old copy',
        );
      }
      return refused('witness-answer-invalid', 'it answers 409 without the size that it has cosigned');
    }
    case 403:
      return refused(
        'witness-knows-no-key',
        'it answers 403: it does not accept the signature as made by a key that it trusts',
      );
    case 404:
      return refused('witness-knows-no-log', 'it answers 404: it does not know this log');
    case 400:
      return refused('witness-refuses', 'it answers 400: it does not accept the request as well-formed');
    case 422:
      return refused(
        'witness-fork',
        `it answers 422: the checkpoint does not continue the ${offer.old} entries it has cosigned. Compare its checkpoint ` +
          'with ours, and check whether the database was restored from an old copy',
      );
    case 429:
    case 502:
    case 503:
    case 504:
      return { kind: 'unreachable', says: `it answers ${status}` };
  }
  // Omniwitness answers 500 for an unknown log.
  return { kind: 'failed', says: `it answers ${status}` };
}

/** Checks the cosignature as the specification proposes: appended to the checkpoint, parsed as one note. */
function cosignatureIn(key: WitnessKey, note: string, body: string): NoteSignature | null {
  const answered = parsed(() => parseNote(`${note}${body}`));
  const found = answered === null ? null : checkCosignature(answered, key);
  return found?.status === 'verified' ? found.line : null;
}

async function textOf(response: Response): Promise<string> {
  const bytes = await collectAtMost(response.body, MAX_ANSWER);
  if (bytes === null) throw new Error(`it answers with more than ${MAX_ANSWER} bytes`);
  return new TextDecoder().decode(bytes);
}

/** fetch wraps the error of the connection, sometimes twice. */
function innermost(error: unknown): string {
  let inner = error;
  while (inner instanceof Error && inner.cause !== undefined) inner = inner.cause;
  if (inner instanceof AggregateError && inner.errors.length > 0) inner = inner.errors[0];
  return messageOf(inner);
}
