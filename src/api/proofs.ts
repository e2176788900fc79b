import type { Router } from 'express';
import { z } from 'zod';
import { toHex } from '../core/bytes.ts';
import { consistencyRanges } from '../core/merkle.ts';
import { described, jsonAnswer } from './description.ts';
import { countForm, hashForm, originForm } from './forms.ts';
import { indexText, pathLog, query } from './parameters.ts';
import { Problem } from './problem.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';
import { publicRead } from './tiles.ts';

const consistencyQuery = z.strictObject({ from: indexText, to: indexText });

const readProof = described({
  id: 'proveConsistency',
  tag: 'Tiles',
  summary: 'A consistency proof',
  description: 'That the log of `to` entries begins with the log of `from` entries (RFC 9162 section 2.1.4).',
  access: 'public',
  query: consistencyQuery,
  answers: {
    200: jsonAnswer(
      'The proof.',
      z.object({ log: originForm, from: countForm, to: countForm, path: z.array(hashForm) }),
    ),
  },
  problems: ['log-not-found', 'proof-range', 'size-not-reached'],
});

/** Consistency proofs. They tell hashes alone, so they are public as the tiles are. */
export function proofRoutes({ registry, tiles }: Service): Router {
  return exactRouter().get('/v1/logs/:log/proofs/consistency', readProof, publicRead, async (request, response) => {
    const log = await pathLog(request, registry);
    const { from, to } = query(request, consistencyQuery);
    const { size } = await registry.head(log);
    if (to > size) throw new Problem('size-not-reached', `the log ${log.name} has ${size} entries, not ${to}`);
    const path = from === 0 ? [] : await tiles.ranges(log, consistencyRanges(from, to), to);
    response.json({ log: log.origin, from, to, path: path.map(toHex) });
  });
}
