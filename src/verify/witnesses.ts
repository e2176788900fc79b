// Who besides the log vouches for a checkpoint: a claim `checkpoint` of its own.

import { toHex } from '../core/bytes.ts';
import { checkCosignature } from '../core/cosignature.ts';
import type { Note } from '../core/note.ts';
import { isReached, type Policy } from '../core/policy.ts';
import { type Claim, claimOf } from '../core/verdict.ts';

/** Whether as many witnesses as the policy asks for cosigned; null where it asks for none and knows none. */
export function checkWitnesses(note: Note, { witnesses, quorum }: Policy): Claim | null {
  if (witnesses.length === 0) return null;
  const cosigned = new Map<string, string>();
  for (const { name, key } of witnesses) {
    const { status } = checkCosignature(note, key);
    if (status === 'refuted') {
      return claimOf('witness-signature-broken', {
        claim: 'checkpoint',
        grounds: 'key',
        says: `The checkpoint bears a signature in the name of the witness ${name} that does not hold under its given key.`,
      });
    }
    if (status === 'verified') cosigned.set(toHex(key.publicKey), name);
  }
  const names = cosigned.size === 0 ? 'none' : [...cosigned.values()].join(', ');
  const count = `Of the ${witnesses.length} witnesses of the given policy these cosigned the checkpoint: ${names}`;
  return isReached(quorum, ({ key }) => cosigned.has(toHex(key.publicKey)))
    ? claimOf('witnesses-enough', {
        claim: 'checkpoint',
        grounds: 'key',
        says: `${count}; that is as many as it asks for, so nobody was shown another history of the log without their help.`,
      })
    : claimOf('witnesses-too-few', { claim: 'checkpoint', grounds: 'none', says: `${count}; it asks for more.` });
}
