import type { FetchGetUrlFunc } from 'ethers';
import { collectAtMost } from '../core/bounded.ts';
import { AntequemError } from '../core/errors.ts';

/**
 * The transport of ethers' requests: ethers' own reads answers of any length, and follows redirects.
 * @param most bytes of an answer; beyond them it throws AntequemError `rpc-failed`
 */
export function boundedFetch(most: number): FetchGetUrlFunc {
  return async (request) => {
    const response = await fetch(request.url, {
      method: request.method,
      headers: request.headers,
      body: request.body === null ? null : new Uint8Array(request.body),
      redirect: 'error',
      signal: AbortSignal.timeout(request.timeout),
    });
    const body = await collectAtMost(response.body, most);
    if (body === null) throw new AntequemError('rpc-failed', `its answer has more than ${most} bytes`);
    const headers = Object.fromEntries(response.headers);
    return { statusCode: response.status, statusMessage: response.statusText, headers, body };
  };
}
