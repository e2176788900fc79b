// Esplora's HTTP API, as blockstream.info and mempool.space serve it.

import type { HeaderSource } from '../core/bitcoin-source.ts';
import { HASH_HEX } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { endpoint } from './endpoint.ts';
import { chainOf, type HeaderClient, sourceOf } from './source.ts';

export interface EsploraOptions {
  /** Milliseconds for each request. */
  readonly timeout?: number | undefined;
}

/**
 * A source that asks an Esplora server, for the chain that the server says it follows.
 * @throws FormatError `bitcoin-url`
 * @throws AntequemError `bitcoin-failed`, `bitcoin-login`, `bitcoin-answer`
 */
export async function openEsplora(url: string, options: EsploraOptions = {}): Promise<HeaderSource> {
  const client = esploraClient(url, options);
  return sourceOf(client, await chainOf(client));
}

/** @param url of the API: the path before `/blocks/tip/height`. @throws FormatError `bitcoin-url` */
export function esploraClient(url: string, { timeout }: EsploraOptions = {}): HeaderClient {
  const server = endpoint(url, timeout);
  const describe = (): string => `the Esplora server at ${server.host}`;
  const ask = async (path: string, form: RegExp): Promise<string | null> => {
    const { status, text } = await server.ask(path, { login: server.login });
    if (status === 404) return null;
    if (status === 401 || status === 403) {
      throw new AntequemError('bitcoin-login', `${describe()} does not let us in (status ${status})`);
    }
    const answer = text.trim();
    if (status === 200 && form.test(answer)) return answer;
    const why = status === 200 ? 'its answer is not of the form expected' : `status ${status}`;
    throw new AntequemError('bitcoin-failed', `${describe()} did not answer ${path}: ${why}`);
  };
  const known = async (path: string, form: RegExp): Promise<string> => {
    const answer = await ask(path, form);
    if (answer === null) throw new AntequemError('bitcoin-failed', `${describe()} has no ${path}`);
    return answer;
  };
  return {
    grounds: 'esplora',
    describe,
    hashAt: (height) => ask(`/block-height/${height}`, HASH_HEX),
    headerOf: (hash) => known(`/block/${hash}/header`, /^[0-9a-f]{160}$/),
    height: async () => Number(await known('/blocks/tip/height', /^\d{1,9}$/)),
  };
}
