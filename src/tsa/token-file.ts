// Files with a token: a TimeStampResp as `openssl ts -reply` writes it, or the token itself (RFC 3161 section 2.4.2).

import { fromHex, toHex } from '../core/bytes.ts';

/** DER of the OID of TSTInfo: it stands near the start of every token. */
const TST_INFO_OID = '060b2a864886f70d0109100104';
/** Bytes that a status with a text may take before it. */
const SEARCHED_BYTES = 512;
/** Of a sequence whose length takes one to three bytes. */
const STARTS: readonly string[] = ['3081', '3082', '3083'];

/** Whether bytes look like a token or a response with one; does not parse them. */
export function isTokenFile(bytes: Uint8Array): boolean {
  const start = bytes.subarray(0, SEARCHED_BYTES);
  return STARTS.includes(toHex(start.subarray(0, 2))) && includesBytes(start, fromHex(TST_INFO_OID));
}

function includesBytes(among: Uint8Array, wanted: Uint8Array): boolean {
  return among.some((_, at) => wanted.every((byte, i) => among[at + i] === byte));
}
