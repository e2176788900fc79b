import type { AnchorKind } from '../anchor/kind.ts';
import type { OpenTimestampsAnchor } from '../core/receipt-schema.ts';
import { openOtsAudit } from './database-audit.ts';
import { readOtsAnchors } from './receipt-anchor.ts';
import { measureCalendars, readCalendarDetails, reportCalendars, stampedChains } from './report.ts';

/** Anchors in Bitcoin, by OpenTimestamps calendars. */
export const otsKind: AnchorKind<OpenTimestampsAnchor> = {
  type: 'opentimestamps',
  details: readCalendarDetails,
  receiptAnchors: readOtsAnchors,
  report: reportCalendars,
  measure: measureCalendars,
  // Asking calendars again does no harm: nothing stops that the operator would have to accept.
  accept: async () => {},
  auditedChains: stampedChains,
  openAudit: openOtsAudit,
};
