import type { Router } from 'express';
import { markLeaves } from '../anchor/leaf-marks.ts';
import { BITCOIN, REGTEST } from '../core/bitcoin-header.ts';
import { serializeOtsFile } from '../ots/file.ts';
import { answersIn, otsOfReceipt } from '../ots/receipt-file.ts';
import type { Gate } from './access.ts';
import { described } from './description.ts';
import { pathIndex, pathLog, pathLogName } from './parameters.ts';
import { Problem } from './problem.ts';
import { RECEIPT_PROBLEMS } from './receipts.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';

const readOts = described({
  id: 'readReceiptOts',
  tag: 'Receipts',
  summary: 'The receipt as an .ots file',
  description: 'For stock OpenTimestamps clients, beside the payload as a file.',
  access: 'read',
  answers: { 200: { says: 'The file.', content: { 'application/vnd.opentimestamps.ots': 'bytes' } } },
  problems: [...RECEIPT_PROBLEMS, 'receipt-pending', 'timestamp-absent', 'timestamp-too-long'],
});

/** Receipts as files of OpenTimestamps. */
export function receiptOtsRoutes(
  { database, registry, receipts, trees, calendars, ownCalendar }: Service,
  gate: Gate,
): Router {
  return exactRouter().get('/v1/logs/:log/entries/:index/receipt.ots', readOts, async (request, response) => {
    await gate.admit(request, 'read', pathLogName(request));
    const log = await pathLog(request, registry);
    const index = pathIndex(request, 'index');
    const receipt = await receipts.compose(log, index);
    const stamped = 'round' in receipt && receipt.anchors.some(({ type }) => type === 'opentimestamps');
    if (!stamped && calendars === null) {
      throw new Problem('timestamp-absent', 'the rounds of this service are not stamped by OpenTimestamps calendars');
    }
    if ('round' in receipt && ownCalendar !== null && answersIn(receipt).length === 0) {
      // The file names our own calendar, which is then asked for this leaf.
      const { number, index: leaf } = receipt.round;
      const { tree } = await trees.read(number);
      await markLeaves(database, number, [tree.node({ level: 0, index: leaf })]);
    }
    const file = serializeOtsFile(otsOfReceipt(receipt, ownCalendar));
    response.attachment(`${log.name}-${index}${networkSuffix(calendars?.chain ?? BITCOIN)}.ots`);
    response.type('application/vnd.opentimestamps.ots').send(Buffer.from(file));
  });
}

/** What keeps a file of a test network from being taken for one of Bitcoin. */
function networkSuffix(chain: string): string {
  if (chain === BITCOIN) return '';
  return chain === REGTEST ? '.regtest' : `.${chain.slice('bip122:'.length, 'bip122:'.length + 16)}`;
}
