// Bitcoin Core's JSON-RPC.

import { readFile } from 'node:fs/promises';
import * as z from 'zod/mini';
import { excerpt } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { hashHex } from '../core/hex.ts';
import { parseJson } from '../core/json.ts';
import { endpoint } from './endpoint.ts';
import type { HeaderClient } from './source.ts';

export interface BitcoinNodeOptions {
  /**
   * The node's cookie file, used instead of a login in the URL. It is read for each request, because the node writes a new
   * one at each start.
   */
  readonly cookieFile?: string | undefined;
  /** Milliseconds for each request. */
  readonly timeout?: number | undefined;
}

const OUT_OF_RANGE = -8;
const answer = z.object({
  result: z.optional(z.unknown()),
  error: z.optional(z.nullable(z.object({ code: z.number(), message: z.string() }))),
});
const header = z.string().check(z.maxLength(1_000));
const height = z.int().check(z.nonnegative());

/** @param url may hold user and password. @throws FormatError `bitcoin-url` */
export function nodeClient(url: string, { cookieFile, timeout }: BitcoinNodeOptions = {}): HeaderClient {
  const server = endpoint(url, timeout);
  const describe = (): string => `the Bitcoin node at ${server.host}`;
  const fail = (method: string, why: string): AntequemError =>
    new AntequemError('bitcoin-failed', `${describe()} did not answer ${method}: ${why}`);

  /** Null where the node says that a parameter is out of range. */
  const call = async <T>(method: string, params: unknown[], result: z.ZodMiniType<T>): Promise<T | null> => {
    const login = cookieFile === undefined ? server.login : await readCookie(cookieFile);
    const body = JSON.stringify({ jsonrpc: '1.0', id: 'antequem', method, params });
    const { status, text } = await server.ask('', { body, login });
    if (status === 401 || status === 403) {
      const given = cookieFile !== undefined ? 'the cookie' : server.login === null ? 'no login' : 'user and password';
      throw new AntequemError('bitcoin-login', `${describe()} does not accept ${given} (status ${status})`);
    }
    const parsed = answer.safeParse(parseJson(text));
    if (!parsed.success) throw fail(method, `status ${status}, and no JSON-RPC`);
    const { error } = parsed.data;
    if (error?.code === OUT_OF_RANGE) return null;
    if (error != null) throw fail(method, `it said ${excerpt(error.message)}`);
    const checked = result.safeParse(parsed.data.result);
    if (!checked.success) throw fail(method, 'its answer is not of the form expected');
    return checked.data;
  };
  const known = async <T>(method: string, params: unknown[], result: z.ZodMiniType<T>): Promise<T> => {
    const found = await call(method, params, result);
    if (found === null) throw fail(method, 'it says that there is none');
    return found;
  };
  return {
    grounds: 'bitcoin-node',
    describe,
    hashAt: (at) => call('getblockhash', [at], hashHex),
    headerOf: (of) => known('getblockheader', [of, false], header),
    height: () => known('getblockcount', [], height),
  };
}

async function readCookie(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'for a reason unknown';
    throw new AntequemError('bitcoin-login', `cannot read the cookie of the Bitcoin node in ${file}: ${reason}`);
  }
}
