// What an auditor trusts: the options that name it, and what they open.

import { type Command, InvalidArgumentError } from 'commander';
import type { AuditTrust, TrustedNode } from '../core/anchor-audit.ts';
import { CONFIRMATIONS_HELP, confirmations, httpUrl, repeated, TSA_CA_HELP, wholeNumberArgument } from './options.ts';
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

/** The options for what the auditor trusts. */
export function withTrust(command: Command): Command {
  return command
    .option('--against <dir|url>', 'with --url or --mirror: compare it with another mirror or service')
    .option(
      '--key <vkey>',
      'verifier key of a log, obtained from another source, preferably that of _system; may be repeated',
      repeated((text) => text),
    )
    .option('--rpc <url>', 'a node of a chain that you trust; may be repeated', repeated(httpUrl))
    .option('--confirmations <n>', CONFIRMATIONS_HELP, confirmations)
    .option('--sender <address>', 'an account known to pay for anchors; may be repeated', repeated(address))
    .option(
      '--bitcoin <url>',
      'a Bitcoin node or an Esplora server that you trust; if several are given, all must agree',
      repeated(httpUrl),
    )
    .option(
      '--tsa-ca <file>',
      TSA_CA_HELP,
      repeated((text) => text),
    )
    .option('--from-block <n>', 'first block to search on chains', wholeNumberArgument(0, Number.MAX_SAFE_INTEGER), 0);
}

function address(text: string): string {
  if (!/^0x[0-9a-fA-F]{40}$/.test(text)) throw new InvalidArgumentError('Expected 0x and 40 hex digits.');
  return text.toLowerCase();
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
