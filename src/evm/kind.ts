import type { AnchorKind } from '../anchor/kind.ts';
import type { EvmAnchor } from '../core/receipt-schema.ts';
import { acceptAlarm } from './alarm.ts';
import { readEvmAnchors, readEvmDetails } from './anchors.ts';
import { openEvmAudit } from './database-audit.ts';
import { auditedEvmChains, measureEvm, reportEvm } from './report.ts';

/** Anchors in a contract on an EVM chain, sent by an account that pays for them. */
export const evmKind: AnchorKind<EvmAnchor> = {
  type: 'evm',
  details: readEvmDetails,
  receiptAnchors: readEvmAnchors,
  report: reportEvm,
  measure: measureEvm,
  accept: acceptAlarm,
  auditedChains: auditedEvmChains,
  openAudit: openEvmAudit,
};
