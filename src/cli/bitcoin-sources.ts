import { agreeing, openSource } from '../bitcoin/header-sources.ts';
import { BITCOIN } from '../core/bitcoin-header.ts';
import type { HeaderSource } from '../core/bitcoin-source.ts';
import { AntequemError } from '../core/errors.ts';

/**
 * Opens the Bitcoin sources at these URLs. Several sources of one chain become one, which answers only what all agree on.
 * @param tell called for each source that does not answer; its whole chain is then left out
 * @throws FormatError `bitcoin-url`; AntequemError `bitcoin-login`
 */
export async function agreedSources(urls: readonly string[], tell: (text: string) => void): Promise<HeaderSource[]> {
  const opened = await Promise.all(urls.map((url) => openSource(url).catch(silent)));
  const byChain = new Map<string, HeaderSource[]>();
  for (const source of opened) {
    if (source instanceof AntequemError) tell(source.message);
    const view = source instanceof AntequemError ? failing(source) : source;
    byChain.set(view.chain, [...(byChain.get(view.chain) ?? []), view]);
  }
  return [...byChain.values()].map(agreeing);
}

/** A source that cannot be reached is no mistake in the command and refutes nothing. */
function silent(error: unknown): AntequemError {
  if (error instanceof AntequemError && error.code !== 'bitcoin-url' && error.code !== 'bitcoin-login') return error;
  throw error;
}

/** The chain it follows is unknown, so no Bitcoin source can be used. */
function failing(error: AntequemError): HeaderSource {
  const fail = (): Promise<never> => Promise.reject(error);
  return { grounds: 'bitcoin-node', chain: BITCOIN, describe: () => 'a source', header: fail, height: fail };
}
