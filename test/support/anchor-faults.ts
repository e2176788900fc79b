import { randomBytes } from 'node:crypto';
import type { EvmNode, RawSource } from '../../src/evm/node.ts';
import type { EvmSigner } from '../../src/evm/signer.ts';
import type { Database } from '../../src/store/database.ts';

/** What anchoring does to the outside, or asks of it. */
export const EFFECTS = ['sign', 'commit', 'broadcast', 'receipt poll', 'evidence'] as const;
export type Effect = (typeof EFFECTS)[number];
/** Whether it took place when it is reported to have failed, or the process dies. */
export const MOMENTS = ['failed', 'done but reported failed'] as const;
export type Moment = (typeof MOMENTS)[number];

export interface Fault {
  readonly effect: Effect;
  readonly moment: Moment;
  /** Whether this occurrence is struck, counted from 1. */
  readonly due: (occurrence: number) => boolean;
  /** What strikes: throws, or ends the process and never returns. */
  readonly strike: () => Promise<never>;
}

/** The parts of a target that reach outside. */
export interface Parts {
  readonly node: EvmNode;
  readonly signer: EvmSigner;
  readonly database: Database;
}

/** The parts, one of whose effects fails. */
export function withFault({ node, signer, database }: Parts, { effect, moment, due, strike }: Fault): Parts {
  let occurrence = 0;
  const spoil = async <T>(work: () => Promise<T>, undo: () => Promise<unknown> = async () => {}): Promise<T> => {
    occurrence += 1;
    if (!due(occurrence)) return work();
    if (moment === 'failed') {
      // A process that is killed has nobody to clean up after it.
      await strike().catch(async (error: unknown) => {
        await undo();
        throw error;
      });
    }
    await work();
    return strike();
  };
  const spoilt = (source: RawSource): RawSource => ({
    ...source,
    ask: (method, params) => spoil(() => source.ask(method, params)),
  });
  switch (effect) {
    case 'sign':
      return { node, database, signer: { ...signer, sign: (digest) => spoil(() => signer.sign(digest)) } };
    case 'commit':
      return { node, signer, database: withSpoiltCommits(database, spoil) };
    case 'broadcast':
      return { signer, database, node: { ...node, send: (raw) => spoil(() => node.send(raw)) } };
    case 'receipt poll':
      return { signer, database, node: { ...node, receipt: (hash) => spoil(() => node.receipt(hash)) } };
    case 'evidence':
      return { signer, database, node: { ...node, sources: node.sources.map(spoilt) } };
  }
}

type Spoil = <T>(work: () => Promise<T>, undo: () => Promise<unknown>) => Promise<T>;

/** Spoils the commit of whatever stores signed transactions. */
function withSpoiltCommits(database: Database, spoil: Spoil): Database {
  const bound = (target: object, property: string | symbol): unknown => {
    const value: unknown = Reflect.get(target, property);
    return typeof value === 'function' ? value.bind(target) : value;
  };
  return new Proxy(database, {
    get: (pool, property) => {
      if (property !== 'connect') return bound(pool, property);
      return async () => {
        const client = await pool.connect();
        let storing = false;
        return new Proxy(client, {
          get: (connection, name) => {
            if (name !== 'query') return bound(connection, name);
            return (text: string, values?: unknown[]) => {
              if (text.includes('INSERT INTO evm_transactions')) storing = true;
              const run = () => connection.query(text, values);
              return text === 'COMMIT' && storing ? spoil(run, () => connection.query('ROLLBACK')) : run();
            };
          },
        });
      };
    },
  });
}

/** A name for one cell of the table, which is a target's too. */
export function cellName(): string {
  return `cell-${randomBytes(4).toString('hex')}`;
}
