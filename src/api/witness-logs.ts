import type { Router } from 'express';
import { z } from 'zod';
import { formatVerifierKey } from '../core/note.ts';
import { listedLogs } from '../log/listing.ts';
import { described } from './description.ts';
import { query } from './parameters.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';
import { publicRead } from './tiles.ts';

/** Checkpoints that are offered to a witness in a day at most: one a second. */
const OFFERS_A_DAY = 86_400;

const listQuery = z.strictObject({
  keys: z.enum(['ed25519', 'ml-dsa-44'], 'not ed25519 or ml-dsa-44').default('ed25519').meta({
    description: '`ml-dsa-44`: of logs that sign by ML-DSA-44 as well, that key in place of the one of Ed25519.',
  }),
});

const readWitnessLogs = described({
  id: 'readWitnessLogs',
  tag: 'Logs',
  summary: 'The listed logs, as witnesses read them',
  description: 'The list of logs (`logs/v0`) that a witness is configured with by URL: key, offers a day, contact.',
  access: 'public',
  query: listQuery,
  answers: { 200: { says: 'A list of logs.', content: { 'text/plain': 'text' } } },
});

/**
 * The log list of the public witness network (github.com/transparency-dev/witness-network, log-list-format.md). A log has one key
 * there, and readers take the first of an origin: so a log stands in it once, and the address says which kind of key is wanted.
 * Of several keys the oldest is listed, which signs until it is retired.
 */
export function witnessLogRoutes({ database, registry }: Service): Router {
  return exactRouter().get('/.well-known/witness-logs', readWitnessLogs, publicRead, async (request, response) => {
    const { keys } = query(request, listQuery);
    const lists: string[] = [];
    for (const log of await listedLogs(database)) {
      const [oldest] = await registry.signers(log);
      const [ed25519, mlDsa] = oldest?.verifiers ?? [];
      const key = keys === 'ml-dsa-44' ? (mlDsa ?? ed25519) : ed25519;
      if (key === undefined) continue;
      const vkey = formatVerifierKey(key.name, key.publicKey, key.type);
      lists.push(`\nvkey ${vkey}\nqpd ${OFFERS_A_DAY}\ncontact ${registry.serviceOrigin}\n`);
    }
    response
      .set('Cache-Control', 'public, max-age=60')
      .type('text/plain; charset=utf-8')
      .send(`logs/v0\n${lists.join('')}`);
  });
}
