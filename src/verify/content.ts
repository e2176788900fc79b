import { sha256 } from '#sha256';
import { equalBytes, fromHex } from '../core/bytes.ts';
import type { Receipt } from '../core/receipt.ts';
import { type Claim, claimOf } from '../core/verdict.ts';

/** What the receipt is held against; both may be given. */
export interface GivenContent {
  readonly payload?: Uint8Array | undefined;
  /** 32 bytes. */
  readonly digest?: Uint8Array | undefined;
}

/** Whether the content is that of the receipt's digest. */
export function checkContent(receipt: Receipt, content: GivenContent): Claim {
  const expected = fromHex(receipt.entry.digest);
  const { payload, digest } = content;
  if (payload === undefined && digest === undefined) {
    return claimOf('content-not-given', {
      claim: 'content',
      grounds: 'none',
      says: 'Neither the content nor its digest was given, so this verdict speaks of the digest in the receipt alone.',
    });
  }
  const what = payload === undefined ? 'The given digest' : 'The SHA-256 digest of the given content';
  const given = [...(payload === undefined ? [] : [sha256(payload)]), ...(digest === undefined ? [] : [digest])];
  if (!given.every((each) => equalBytes(each, expected))) {
    return claimOf('content-differs', {
      claim: 'content',
      grounds: 'bytes',
      says: `${what} is not the one in the receipt: the receipt is about something else.`,
    });
  }
  return claimOf('content-matches', {
    claim: 'content',
    grounds: 'bytes',
    says: `${what} is the one in the receipt.`,
  });
}
