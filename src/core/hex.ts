import * as z from 'zod/mini';

/** 32 bytes in lower-case hex. */
export const HASH_HEX = /^[0-9a-f]{64}$/;

export const hashHex = z.string().check(z.regex(HASH_HEX, 'not 32 bytes in lower-case hex without 0x'));
