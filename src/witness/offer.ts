// C2SP tlog-witness, the log's side: one call of add-checkpoint.

import { collectAtMost } from '../core/bounded.ts';
import { toBase64 } from '../core/bytes.ts';
import { checkCosignature } from '../core/cosignature.ts';
import { FormatError, messageOf } from '../core/errors.ts';
import { type NoteSignature, parseNote, type Verifier } from '../core/note.ts';
import type { WitnessProblemCode } from './problems.ts';

/** Bytes of an answer. A cosignature has some 150, one of ML-DSA beside it 3,400. */
const MAX_ANSWER = 65_536;

/** A checkpoint for a witness that has cosigned the log's first `old` entries. */
export interface Offer {
  readonly old: number;
  /** Entries of the checkpoint. */
  readonly size: number;
  /** The consistency path from `old` to the checkpoint; empty from 0 and between equals. */
  readonly path: readonly Uint8Array[];
  /** The signed note. */
  readonly note: string;
}

export type OfferAnswer =
  | { readonly kind: 'cosigned'; readonly line: NoteSignature }
  /** It has cosigned so many entries, not `old`. */
  | { readonly kind: 'conflict'; readonly size: number }
  /** It will not cosign this; what it said, for people. */
  | { readonly kind: 'refused'; readonly code: RefusalCode; readonly says: string }
  /** It failed on this request; another log may fare better. */
  | { readonly kind: 'failed'; readonly says: string }
  /** It cannot be asked about anything now. */
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
  readonly key: Verifier;
  /** The submission prefix. */
  readonly url: string;
}

/** Offers a checkpoint once. Never throws for what the witness does. */
export async function offerCheckpoint(
  witness: WitnessAddress,
  offer: Offer,
  signal: AbortSignal,
): Promise<OfferAnswer> {
  let response: Response;
  let body: string;
  try {
    response = await fetch(`${witness.url.replace(/\/+$/, '')}/add-checkpoint`, {
      method: 'POST',
      body: formatOffer(offer),
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      // Only the configured address is asked, never one that it redirects to.
      redirect: 'error',
      signal,
    });
    body = await textOf(response);
  } catch (error) {
    return { kind: 'unreachable', says: innermost(error) };
  }
  return answerOf(witness.key, offer, response, body);
}

function answerOf(key: Verifier, offer: Offer, response: Response, body: string): OfferAnswer {
  const { status } = response;
  const refused = (code: RefusalCode, says: string): OfferAnswer => ({ kind: 'refused', code, says });
  switch (status) {
    case 200: {
      const line = cosignatureIn(key, offer.note, body);
      return line === null
        ? refused('witness-answer-invalid', 'it answers 200 without a cosignature that holds under its configured key')
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
          `it answers 409 to a checkpoint of the ${offer.size} entries that it has cosigned: it may have cosigned another ` +
            'tree of that size. Compare the checkpoint that it shows with ours, and look whether the database was set back',
        );
      }
      return refused('witness-answer-invalid', 'it answers 409 without the size it has cosigned');
    }
    case 403:
      return refused(
        'witness-knows-no-key',
        'it answers 403: it does not take the signature for one of a key it trusts',
      );
    case 404:
      return refused('witness-knows-no-log', 'it answers 404: it was not told of this log');
    case 400:
      return refused('witness-refuses', 'it answers 400: it does not take the request for well-formed');
    case 422:
      return refused(
        'witness-fork',
        `it answers 422: the checkpoint does not continue the ${offer.old} entries it has cosigned. Compare the checkpoint ` +
          'that it shows with ours, and look whether the database was set back',
      );
    case 429:
    case 502:
    case 503:
    case 504:
      return { kind: 'unreachable', says: `it answers ${status}` };
  }
  // Omniwitness answers 500 for a log that it does not know.
  return { kind: 'failed', says: `it answers ${status}` };
}

/** As the specification proposes: behind the note, as one note. */
function cosignatureIn(key: Verifier, note: string, body: string): NoteSignature | null {
  try {
    const found = checkCosignature(parseNote(`${note}${body}`), key);
    return found.status === 'verified' ? found.line : null;
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}

async function textOf(response: Response): Promise<string> {
  const bytes = await collectAtMost(response.body, MAX_ANSWER);
  if (bytes === null) throw new Error(`it answers with more than ${MAX_ANSWER} bytes`);
  return new TextDecoder().decode(bytes);
}

/** fetch wraps what happened to the connection, at times twice. */
function innermost(error: unknown): string {
  let inner = error;
  while (inner instanceof Error && inner.cause !== undefined) inner = inner.cause;
  if (inner instanceof AggregateError && inner.errors.length > 0) inner = inner.errors[0];
  return messageOf(inner);
}
