import * as z from 'zod/mini';
import { HASH_HEX } from './bytes.ts';

export const hashHex = z.string().check(z.regex(HASH_HEX, 'not 32 bytes in lower-case hex without 0x'));
