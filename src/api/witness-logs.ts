import type { Router } from 'express';
import { formatVerifierKey } from '../core/note.ts';
import { listedLogs } from '../log/listing.ts';
import { described } from './description.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';
import { publicRead } from './tiles.ts';

/** Checkpoints that are offered to a witness in a day at most: one a second. */
const OFFERS_A_DAY = 86_400;

const readWitnessLogs = described({
  id: 'readWitnessLogs',
  tag: 'Logs',
  summary: 'The listed logs, as witnesses read them',
  description: 'The list of logs (`logs/v0`) that a witness is configured with by URL: key, offers a day, contact.',
  access: 'public',
  answers: { 200: { says: 'A list of logs.', content: { 'text/plain': 'text' } } },
});

/**
 * The log list of the public witness network (github.com/transparency-dev/witness-network, log-list-format.md). Of a log with
 * several keys the oldest is listed, which signs until it is retired.
 */
export function witnessLogRoutes({ database, registry }: Service): Router {
  return exactRouter().get('/.well-known/witness-logs', readWitnessLogs, publicRead, async (_request, response) => {
    const lists: string[] = [];
    for (const log of await listedLogs(database)) {
      const [oldest] = await registry.signers(log);
      if (oldest === undefined) continue;
      const key = formatVerifierKey(log.origin, oldest.publicKey);
      lists.push(`\nvkey ${key}\nqpd ${OFFERS_A_DAY}\ncontact ${registry.serviceOrigin}\n`);
    }
    response
      .set('Cache-Control', 'public, max-age=60')
      .type('text/plain; charset=utf-8')
      .send(`logs/v0\n${lists.join('')}`);
  });
}
