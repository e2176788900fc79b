import { agreeing, openSource } from '../bitcoin/header-sources.ts';
import { BITCOIN } from '../core/bitcoin-header.ts';
import type { HeaderSource } from '../core/bitcoin-source.ts';
import { AntequemError } from '../core/errors.ts';

/**
 * The sources at these URLs, those of one chain as one that answers only what all of them do.
 * @param tell is told of each that does not answer; then none of its chain does
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

/** Who is not there is no mistake in the command, and proves nothing. */
function silent(error: unknown): AntequemError {
  if (error instanceof AntequemError && error.code !== 'bitcoin-url' && error.code !== 'bitcoin-login') return error;
  throw error;
}

/** Which chain it follows nobody knows; what it could say of Bitcoin is missing. */
function failing(error: AntequemError): HeaderSource {
  const fail = (): Promise<never> => Promise.reject(error);
  return { grounds: 'bitcoin-node', chain: BITCOIN, describe: () => 'a source', header: fail, height: fail };
}
