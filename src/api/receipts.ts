import type { Request, Router } from 'express';
import { z } from 'zod';
import { prefixedHex, toHex } from '../core/bytes.ts';
import { packPath } from '../core/path.ts';
import { type Anchor, isFinalAnchor, knownAnchors, type Receipt, receiptPath } from '../core/receipt.ts';
import { formatTime, parseTime } from '../core/time.ts';
import { formatTlogProof, receiptTlogProof } from '../core/tlog-proof.ts';
import { ANCHOR_ADDRESS, encodeExistedBefore } from '../evm/anchor-contract.ts';
import type { Log } from '../log/log.ts';
import type { Gate } from './access.ts';
import { described, jsonAnswer } from './description.ts';
import { countForm, hashForm, receiptForm } from './forms.ts';
import { indexText, pathIndex, pathLog, pathLogName, query } from './parameters.ts';
import { Problem } from './problem.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';
import { SettledReceipts } from './settled-receipts.ts';

const STAGES = ['round', 'stamped', 'included', 'finalized', 'bitcoin', 'stored'] as const;
type Stage = (typeof STAGES)[number];

const MAX_WAIT = 60;
/** A proxy in between usually gives up after 60 s, and answers 504 then. */
const LONGEST_HOLD_MS = 55_000;
/** Requests that may wait at once; each costs a look whenever something moves. */
const MAX_WAITING = 1_000;
const receiptQuery = z.strictObject({
  wait: indexText
    .refine((seconds) => seconds <= MAX_WAIT, `not at most ${MAX_WAIT} seconds`)
    .meta({ type: 'integer', minimum: 0, maximum: MAX_WAIT, description: 'Seconds.' })
    .default(0),
  until: z.enum(STAGES, `not one of ${STAGES.join(', ')}`).default('finalized'),
});

export const RECEIPT_PROBLEMS = [
  'archive-damaged',
  'archive-unavailable',
  'checkpoint-conflict',
  'database-set-back',
  'entry-erased',
  'entry-not-found',
  'guard-unavailable',
  'log-not-found',
  'signer-silent',
] as const;

const readReceipt = described({
  id: 'readReceipt',
  tag: 'Receipts',
  summary: 'The receipt of an entry',
  description:
    'With all that can be proven now, and no more. `wait` holds the answer until the stage is reached or the time is over; ' +
    '`expectedBy` says when what is pending should be there.',
  access: 'read',
  query: receiptQuery,
  answers: { 200: jsonAnswer('The receipt, as far as it has come.', receiptForm) },
  problems: [...RECEIPT_PROBLEMS, 'overloaded'],
});

const readTlogProof = described({
  id: 'readTlogProof',
  tag: 'Receipts',
  summary: 'The same as a C2SP tlog-proof',
  description: 'The place of the entry in its log, without rounds and anchors.',
  access: 'read',
  answers: { 200: { says: 'The proof.', content: { 'text/plain': 'text' } } },
  problems: [...RECEIPT_PROBLEMS, 'checkpoint-not-witnessed'],
});

const pathQuery = z.strictObject({
  chain: z
    .string()
    .regex(/^eip155:\d{1,16}$/, 'not the id of an EVM chain, such as eip155:1')
    .optional()
    .meta({ description: 'Whose contract is to be asked; by default that of the first target.' }),
});

const readPath = described({
  id: 'readReceiptPath',
  tag: 'Receipts',
  summary: 'The path for the contract',
  description:
    'What `existedBefore` takes, packed and as calldata. It leads to the root of the first round from that of the entry on ' +
    'whose root the contract has stored (`stored`). While there is none it leads to the root of the round of the entry.',
  access: 'read',
  query: pathQuery,
  answers: {
    200: jsonAnswer(
      'The path from the digest to the root that the contract is asked about.',
      z.object({
        digest: hashForm,
        path: z.string().regex(/^0x[0-9a-f]*$/),
        root: hashForm,
        contract: z.string().regex(/^0x[0-9a-fA-F]{40}$/),
        calldata: z.string().regex(/^0x[0-9a-f]*$/),
        stored: z.nullable(z.object({ round: countForm, root: hashForm, chain: z.string() })),
      }),
    ),
  },
  problems: [...RECEIPT_PROBLEMS, 'receipt-pending'],
});

/** Receipts, and the path in one for the contract. */
export function receiptRoutes(service: Service, gate: Gate): Router {
  const { registry, receipts } = service;
  const settled = new SettledReceipts(registry, service.notifications, async (log, index) => {
    const { receipt, systemHead } = await receipts.composeAsOf(log, index);
    return { receipt: withExpectation(receipt, service), systemHead };
  });

  const find = async (request: Request): Promise<{ log: Log; index: number }> => {
    await gate.admit(request, 'read', pathLogName(request));
    return { log: await pathLog(request, registry), index: pathIndex(request, 'index') };
  };

  const isStored = async (receipt: Receipt): Promise<boolean> =>
    'round' in receipt && (await service.storedRound(receipt.round.number, null)) !== null;

  /** The receipt once it has reached the stage, or as it is when the time is over or enough was waited. */
  const awaitStage = async (
    log: Log,
    index: number,
    stage: Stage,
    deadline: number,
    enough: AbortSignal,
  ): Promise<Receipt> => {
    for (;;) {
      // Registered before the look, so that nothing happens between the two.
      const patience = new AbortController();
      const news = service.notifications.next(
        Math.min(1_000, Math.max(0, deadline - service.now())),
        AbortSignal.any([enough, patience.signal]),
      );
      try {
        const receipt = await receipts.compose(log, index);
        const reached = stage === 'stored' ? await isStored(receipt) : hasReached(receipt, stage);
        if (reached || service.now() >= deadline || enough.aborted) return receipt;
        await news;
      } finally {
        patience.abort();
      }
    }
  };

  return exactRouter()
    .get('/v1/logs/:log/entries/:index/receipt', readReceipt, async (request, response) => {
      const { log, index } = await find(request);
      const { wait, until } = query(request, receiptQuery);
      if (wait > 0 && service.notifications.waiting >= MAX_WAITING) {
        throw new Problem('overloaded', 'too many requests wait already: ask without `wait`', {
          'Retry-After': '5',
        });
      }
      if (wait === 0) {
        response.setHeader('Content-Type', 'application/json; charset=utf-8');
        return void response.send(await settled.text(log, index));
      }
      const gone = new AbortController();
      response.on('close', () => gone.abort());
      const enough = AbortSignal.any([gone.signal, service.stopping]);
      const receipt = await awaitStage(
        log,
        index,
        until,
        service.now() + Math.min(wait * 1_000, LONGEST_HOLD_MS),
        enough,
      );
      response.json(withExpectation(receipt, service));
    })
    .get('/v1/logs/:log/entries/:index/receipt.tlog-proof', readTlogProof, async (request, response) => {
      const { log, index } = await find(request);
      const receipt = await receipts.composeWitnessed(log, index);
      response.type('text/plain; charset=utf-8').send(formatTlogProof(receiptTlogProof(receipt)));
    })
    .get('/v1/logs/:log/entries/:index/receipt.path', readPath, async (request, response) => {
      const { log, index } = await find(request);
      const { chain = null } = query(request, pathQuery);
      const receipt = await receipts.compose(log, index);
      const { digest, steps, root } = receiptPath(receipt);
      const stored = 'round' in receipt ? await service.storedRound(receipt.round.number, chain) : null;
      const path = packPath([...steps, ...(stored?.steps ?? [])]);
      response.json({
        digest: toHex(digest),
        path: prefixedHex(path),
        root: toHex(stored?.root ?? root),
        contract: stored?.contract ?? ANCHOR_ADDRESS,
        calldata: encodeExistedBefore(digest, path),
        stored: stored === null ? null : { round: stored.round, root: toHex(stored.root), chain: stored.chain },
      });
    });
}

/** Whether a receipt proves the stage, or a later one. */
function hasReached(receipt: Receipt, stage: Exclude<Stage, 'stored'>): boolean {
  if (!('round' in receipt)) return false;
  const anchors = knownAnchors(receipt);
  switch (stage) {
    case 'round':
      return true;
    case 'stamped':
      return anchors.some(isToken);
    // A token is final at once, and in no block.
    case 'included':
      return anchors.some((anchor) => !isToken(anchor) && anchor.status !== 'submitted' && anchor.status !== 'pending');
    case 'finalized':
      return anchors.some((anchor) => !isToken(anchor) && isFinalAnchor(anchor));
    case 'bitcoin':
      return anchors.some((anchor) => anchor.type === 'opentimestamps' && isFinalAnchor(anchor));
  }
}

const isToken = ({ type }: Anchor): boolean => type === 'rfc3161';

/** While something is pending: when all that is configured is expected to have happened. */
function withExpectation(receipt: Receipt, { roundInterval, finalityDelay, confirmationDelay, now }: Service): Receipt {
  const awaited = [
    ...(hasReached(receipt, 'finalized') ? [] : [finalityDelay]),
    ...(hasReached(receipt, 'bitcoin') ? [] : [confirmationDelay]),
  ].filter((delay) => delay != null);
  if (awaited.length === 0 && 'round' in receipt) return receipt;
  const closes = 'round' in receipt ? parseTime(receipt.round.closedAt) : now() + roundInterval;
  return { ...receipt, expectedBy: formatTime(Math.max(closes + Math.max(0, ...awaited), now())) };
}
