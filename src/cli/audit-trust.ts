import type { AuditTrust, TrustedNode } from '../core/anchor-audit.ts';
import { note } from './output.ts';

/** The options of `antequem audit` that say what the auditor trusts. */
export interface TrustFlags {
  readonly rpc?: string[];
  readonly bitcoin?: string[];
  readonly sender?: string[];
  readonly confirmations?: number;
  readonly fromBlock: number;
  /** Files. */
  readonly tsaCa?: string[];
}

/** What the auditor trusts. @throws AntequemError where the sources of Bitcoin headers do not answer or agree */
export async function readAuditTrust({
  rpc = [],
  bitcoin = [],
  sender = [],
  confirmations,
  fromBlock,
  tsaCa = [],
}: TrustFlags): Promise<AuditTrust> {
  const { agreedSources } = await import('./bitcoin-sources.ts');
  const nodes = await Promise.all(rpc.map((url) => trustedNode(url, confirmations ?? null)));
  const headers = bitcoin.length === 0 ? [] : await agreedSources(bitcoin, note);
  const authorities = tsaCa.length === 0 ? [] : await readAuthorityFiles(tsaCa);
  return { nodes, headers, senders: sender, fromBlock, authorities };
}

async function readAuthorityFiles(files: readonly string[]): Promise<Uint8Array[]> {
  const { readAuthorityFile } = await import('./authority-file.ts');
  return Promise.all(files.map(readAuthorityFile));
}

/** The library for nodes is loaded only if there is one. */
async function trustedNode(url: string, confirmations: number | null): Promise<TrustedNode> {
  const [{ rpcSource }, { anchorEvents }] = await Promise.all([
    import('../evm/rpc-source.ts'),
    import('../evm/anchor-events.ts'),
  ]);
  return { source: rpcSource(url, { confirmations }), events: anchorEvents(url) };
}
