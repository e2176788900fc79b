// The claim `content`: is this what the proof is about?

import { utf8 } from '../core/bytes.ts';
import { type Claim, claimOf } from '../core/verdict.ts';
import { otherLineEnds } from './line-ends.ts';

/** What a proof is compared with; both may be given. */
export interface GivenContent {
  /** Text stands for its UTF-8. */
  readonly payload?: Uint8Array | string | undefined;
  readonly digest?: Uint8Array | undefined;
}

/** What a proof says of its content, and the words for that. */
export interface ProvenContent {
  /** Name of the hash. */
  readonly hash: string;
  digestOf(payload: Uint8Array): Uint8Array;
  /** Whether the proof is about this digest. */
  matches(digest: Uint8Array): boolean;
  /** What the digest is in the proof, such as `the one in the receipt`. */
  readonly own: string;
  /** Such as `the receipt`. */
  readonly proof: string;
}

/** The bytes of a payload. */
export function payloadBytes(payload: Uint8Array | string): Uint8Array {
  return typeof payload === 'string' ? utf8(payload) : payload;
}

export function checkContent({ payload: givenPayload, digest }: GivenContent, proven: ProvenContent): Claim {
  const payload = givenPayload === undefined ? undefined : payloadBytes(givenPayload);
  if (payload === undefined && digest === undefined) {
    return claimOf('content-not-given', {
      claim: 'content',
      grounds: 'none',
      says: `Neither the content nor its digest was given, so it was not checked what ${proven.proof} is about.`,
    });
  }
  const what = payload === undefined ? 'The given digest' : `The ${proven.hash} digest of the given content`;
  const given = [
    ...(payload === undefined ? [] : [proven.digestOf(payload)]),
    ...(digest === undefined ? [] : [digest]),
  ];
  if (given.every((each) => proven.matches(each))) {
    return claimOf('content-matches', { claim: 'content', grounds: 'bytes', says: `${what} is ${proven.own}.` });
  }
  const form =
    payload === undefined || (digest !== undefined && !proven.matches(digest)) ? null : formOf(payload, proven);
  if (form !== null) {
    const says = `The given content is not byte for byte what ${proven.proof} is about, but it matches ${form}: its line ends were changed. Verify it in that form.`;
    return claimOf('content-re-ended', { claim: 'content', grounds: 'bytes', says });
  }
  return claimOf('content-differs', {
    claim: 'content',
    grounds: 'bytes',
    says: `${what} is not ${proven.own}: ${proven.proof} is about something else.`,
  });
}

/** How the line ends would have to be for the content to match; null where that does not help. */
function formOf(payload: Uint8Array, proven: ProvenContent): string | null {
  for (const { form, bytes } of otherLineEnds(payload)) if (proven.matches(proven.digestOf(bytes))) return form;
  return null;
}
