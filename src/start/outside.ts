import { collectAtMost } from '../core/bounded.ts';
import { AntequemError } from '../core/errors.ts';
import type { Outside } from '../sources/scheme.ts';

const PATIENCE_MS = 5_000;
const MAX_BYTES = 128 << 10;

/** Asks for keys and certificates of senders, by HTTPS. */
export const realOutside: Outside = {
  get: async (url) => {
    const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(PATIENCE_MS) });
    if (response.status !== 200 || response.body === null) {
      await response.body?.cancel();
      throw new AntequemError('sender-unreachable', `${url.host} answers ${response.status}`);
    }
    const bytes = await collectAtMost(response.body, MAX_BYTES);
    if (bytes === null)
      throw new AntequemError('sender-unreachable', `${url.host} answers more than ${MAX_BYTES} bytes`);
    return bytes;
  },
};
