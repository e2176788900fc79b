import { randomBytes } from 'node:crypto';
import type { EvmNode, RawSource } from '../../src/evm/node.ts';
import type { EvmSigner } from '../../src/evm/signer.ts';
import type { Database } from '../../src/store/database.ts';
import { type Strike, spoiler, withSpoiltCommits } from './spoil.ts';

/** What anchoring does to the outside, or asks of it. */
export const EFFECTS = ['sign', 'commit', 'broadcast', 'receipt poll', 'evidence'] as const;
export type Effect = (typeof EFFECTS)[number];
export interface Fault extends Strike {
  readonly effect: Effect;
}

/** The parts of a target that reach outside. */
export interface Parts {
  readonly node: EvmNode;
  readonly signer: EvmSigner;
  readonly database: Database;
}

/** The parts, one of whose effects fails. */
export function withFault({ node, signer, database }: Parts, { effect, ...strike }: Fault): Parts {
  const spoil = spoiler(strike);
  const spoilt = (source: RawSource): RawSource => ({
    ...source,
    ask: (method, params) => spoil(() => source.ask(method, params)),
  });
  switch (effect) {
    case 'sign':
      return { node, database, signer: { ...signer, sign: (digest) => spoil(() => signer.sign(digest)) } };
    case 'commit':
      return { node, signer, database: withSpoiltCommits(database, /INSERT INTO evm_transactions/, spoil) };
    case 'broadcast':
      return { signer, database, node: { ...node, send: (raw) => spoil(() => node.send(raw)) } };
    case 'receipt poll':
      return { signer, database, node: { ...node, receipt: (hash) => spoil(() => node.receipt(hash)) } };
    case 'evidence':
      return { signer, database, node: { ...node, sources: node.sources.map(spoilt) } };
  }
}

/** A name for one cell of the table, which is a target's too. */
export function cellName(): string {
  return `cell-${randomBytes(4).toString('hex')}`;
}
