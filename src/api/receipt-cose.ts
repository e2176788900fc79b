import type { Router } from 'express';
import { z } from 'zod';
import { equalBytes } from '../core/bytes.ts';
import { encodeCoseReceipt } from '../core/cose-receipt.ts';
import { ENTRY_SIZE, encodeOpenEntry } from '../core/entry.ts';
import { AntequemError } from '../core/errors.ts';
import { consistencyRanges, hashLeaf } from '../core/merkle.ts';
import { rootFromInclusion } from '../core/proof.ts';
import type { Gate } from './access.ts';
import { described } from './description.ts';
import { indexText, pathIndex, pathLog, pathLogName, query } from './parameters.ts';
import { Problem } from './problem.ts';
import { RECEIPT_PROBLEMS } from './receipts.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';
import { publicRead } from './tiles.ts';

const COSE = 'application/cose';

const receiptQuery = z.strictObject({
  entry: z
    .enum(['true', 'false'], 'not true or false')
    .default('false')
    .meta({ description: 'Whether the receipt carries the entry and its nonce, which `antequem verify` needs.' }),
});

const readReceiptCose = described({
  id: 'readReceiptCose',
  tag: 'Receipts',
  summary: 'The same as a COSE receipt',
  description:
    'RFC 9942: the place of the entry in its log, without rounds and anchors. The leaf is the entry of 73 bytes; ' +
    'docs/verification.md says how to make it from the content.',
  access: 'read',
  query: receiptQuery,
  answers: { 200: { says: 'The receipt.', content: { [COSE]: 'bytes' } } },
  problems: [...RECEIPT_PROBLEMS, 'tree-of-one'],
});

const consistencyQuery = z.strictObject({ from: indexText, to: indexText.optional() });

const proveConsistencyCose = described({
  id: 'proveConsistencyCose',
  tag: 'Tiles',
  summary: 'A consistency proof as a COSE receipt',
  description:
    'RFC 9942: that the log of `to` entries begins with the log of `from` entries. What is signed is the root at `to`, for ' +
    'which there must be a checkpoint; by default that is the newest one.',
  access: 'public',
  query: consistencyQuery,
  answers: { 200: { says: 'The receipt.', content: { [COSE]: 'bytes' } } },
  problems: [
    'archive-damaged',
    'archive-unavailable',
    'checkpoint-conflict',
    'database-set-back',
    'guard-unavailable',
    'log-not-found',
    'proof-range',
    'signer-silent',
    'size-not-signed',
  ],
});

const readScittKeys = described({
  id: 'readScittKeys',
  tag: 'Verification',
  summary: 'The keys for COSE receipts',
  description:
    'Those of listed logs alone, as a COSE Key Set (RFC 9052 section 7). Retired keys stay there as long as the service has ' +
    'their seed. Shown for ten seconds before they are read anew.',
  access: 'public',
  answers: { 200: { says: 'The keys.', content: { 'application/cbor': 'bytes' } } },
});

/** Receipts and consistency proofs as COSE, and the keys that verify them. */
export function receiptCoseRoutes(
  { registry, publisher, receipts, roots, receiptKeys, tiles }: Service,
  gate: Gate,
): Router {
  return exactRouter()
    .get('/v1/logs/:log/entries/:index/receipt.cose', readReceiptCose, async (request, response) => {
      await gate.admit(request, 'read', pathLogName(request));
      const log = await pathLog(request, registry);
      const withEntry = query(request, receiptQuery).entry === 'true';
      const { entry, treeSize, path } = await receipts.place(log, pathIndex(request, 'index'));
      const { root, ...signed } = await roots.sign(log, treeSize);
      const bytes = encodeOpenEntry(entry);
      const leaf = hashLeaf(bytes.subarray(0, ENTRY_SIZE));
      const led = rootFromInclusion(leaf, entry.index, treeSize, path);
      if (led === null || !equalBytes(led, root)) {
        const says = `entry ${entry.index} of ${log.name} does not lead to the root that was signed: run an audit`;
        throw new AntequemError('log-damaged', says);
      }
      const proof = { kind: 'inclusion', treeSize, index: entry.index, path } as const;
      const receipt = encodeCoseReceipt({ ...signed, proof, entry: withEntry ? bytes : null });
      response.attachment(`${log.name}-${entry.index}.cose`).type(COSE).send(Buffer.from(receipt));
    })
    .get('/v1/logs/:log/proofs/consistency.cose', proveConsistencyCose, publicRead, async (request, response) => {
      const log = await pathLog(request, registry);
      const { from, to = (await publisher.current(log)).size } = query(request, consistencyQuery);
      if (from === 0 || from >= to) {
        throw new Problem('proof-range', `no COSE receipt from size ${from} to size ${to}: its path would be empty`);
      }
      const { root: _, ...signed } = await roots.sign(log, to);
      const path = await tiles.ranges(log, consistencyRanges(from, to), to);
      const proof = { kind: 'consistency', from, to, path } as const;
      response.type(COSE).send(Buffer.from(encodeCoseReceipt({ ...signed, proof, entry: null })));
    })
    .get('/.well-known/scitt-keys', readScittKeys, async (_request, response) => {
      response.type('application/cbor').send(Buffer.from(await receiptKeys.set()));
    });
}
