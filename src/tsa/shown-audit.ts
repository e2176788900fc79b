// The audit of tokens that a service shows.

import type { AuditTrust, ShownAuditor } from '../core/anchor-audit.ts';
import { fromBase64 } from '../core/bytes.ts';
import { parsed } from '../core/errors.ts';
import type { Rfc3161Anchor } from '../core/receipt-schema.ts';
import { TokenTally } from './tally.ts';

export async function openShownTokens({ authorities = [] }: AuditTrust): Promise<ShownAuditor<Rfc3161Anchor>> {
  return {
    chains: [],
    begin({ faults, rounds }) {
      const tally = new TokenTally(authorities, faults);
      return {
        async take({ token, authority }, place) {
          const { number: round, root, closedAt } = rounds.at(place);
          const der = parsed(() => fromBase64(token)) ?? new Uint8Array();
          await tally.take({ round, root, closedAt, authority, token: der });
          return true;
        },
        // Nothing is remembered from one audit to the next: what an audit did not read, it does not count.
        finish: async () => ({ outcomes: tally.outcomes(), checked: [] }),
      };
    },
  };
}
