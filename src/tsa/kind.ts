import type { AnchorKind } from '../anchor/kind.ts';
import type { Rfc3161Anchor } from '../core/receipt-schema.ts';
import { openTokenAudit } from './database-audit.ts';
import { measureAuthorities, readTokenDetails, reportAuthorities, stampingAuthorities } from './report.ts';
import { readTokenAnchors } from './tokens.ts';

/** Tokens of timestamp authorities (RFC 3161). */
export const tsaKind: AnchorKind<Rfc3161Anchor> = {
  type: 'rfc3161',
  details: readTokenDetails,
  receiptAnchors: readTokenAnchors,
  report: reportAuthorities,
  measure: measureAuthorities,
  // Asking an authority again does no harm: nothing stops that the operator would have to accept.
  accept: async () => {},
  auditedChains: stampingAuthorities,
  openAudit: openTokenAudit,
};
