// How the anchors of each kind are audited that a service shows.

import type { AuditTrust, Declared, OpenShownAudit, ShownAuditOptions, ShownResult } from '../../core/anchor-audit.ts';
import type { Anchor, AnchorOf, ReceiptAnchor } from '../../core/receipt-schema.ts';
import { openShownEvm } from '../../evm/shown-audit.ts';
import { openShownOts } from '../../ots/shown-audit.ts';
import { openShownTokens } from '../../tsa/shown-audit.ts';

type AnchorType = Anchor['type'];

const AUDITS = {
  evm: forKind('evm', openShownEvm),
  opentimestamps: forKind('opentimestamps', openShownOts),
  rfc3161: forKind('rfc3161', openShownTokens),
} satisfies Readonly<Record<AnchorType, (trust: AuditTrust) => Promise<KindAuditor>>>;

/** The auditor of one kind. */
export interface KindAuditor {
  /** Chains that can be asked. */
  readonly chains: readonly string[];
  begin(options: ShownAuditOptions): KindAudit;
}

export interface KindAudit {
  /** Takes the anchors of this kind among those of a round. @returns whether they are final by their own word */
  take(anchors: readonly ReceiptAnchor[], place: number): Promise<boolean>;
  /** @throws AllRoundsNeeded */
  finish(declared: Declared): Promise<ShownResult>;
}

/** Prepares the audit of every kind. */
export function openKindAudits(trust: AuditTrust): Promise<KindAuditor[]> {
  return Promise.all(Object.values(AUDITS).map((open) => open(trust)));
}

function forKind<T extends AnchorType>(
  type: T,
  open: OpenShownAudit<AnchorOf[T]>,
): (trust: AuditTrust) => Promise<KindAuditor> {
  const isOurs = (anchor: ReceiptAnchor): anchor is AnchorOf[T] => anchor.type === type;
  return async (trust) => {
    const auditor = await open(trust);
    return {
      chains: auditor.chains,
      begin(options) {
        const audit = auditor.begin(options);
        return {
          async take(anchors, place) {
            let final = true;
            for (const anchor of anchors.filter(isOurs)) final = (await audit.take(anchor, place)) && final;
            return final;
          },
          finish: (declared) => audit.finish(declared),
        };
      },
    };
  };
}
