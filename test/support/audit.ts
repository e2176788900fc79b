import { randomBytes } from 'node:crypto';
import type { Audit } from '../../src/audit/checks/verdict.ts';
import { type AuditOptions, auditDatabase as audit } from '../../src/audit/database/audit.ts';
import type { TrustedNode } from '../../src/core/anchor-audit.ts';
import { anchorEvents } from '../../src/evm/anchor-events.ts';
import { rpcSource } from '../../src/evm/rpc-source.ts';
import { KINDS } from '../../src/kinds.ts';
import { openDatabase } from '../../src/store/database.ts';
import { ORIGIN, SEED } from './instance.ts';

/** A node as an auditor trusts it. */
export function trustedNode(url: string): TrustedNode {
  return { source: rpcSource(url), events: anchorEvents(url) };
}

/** Audits a database of the tests' own service, by a connection of its own. */
export async function auditDatabase(url: string, options: Partial<AuditOptions> = {}): Promise<Audit> {
  const database = openDatabase(url, { connections: 1, name: 'antequem audit' });
  try {
    return await audit({
      database,
      origin: ORIGIN,
      seed: SEED,
      verifiers: [],
      kinds: KINDS,
      nodes: [],
      headers: [],
      senders: [],
      fromBlock: 0,
      state: null,
      onProgress: () => {},
      clock: () => performance.now(),
      random: randomBytes,
      ...options,
    });
  } finally {
    await database.end();
  }
}
