// Whether witnesses cosigned a checkpoint: a claim `checkpoint` beside the one about the log's signature.

import { toHex } from '../core/bytes.ts';
import { checkCosignature, isCheckable } from '../core/cosignature.ts';
import type { Note } from '../core/note.ts';
import { isReached, type Policy } from '../core/policy.ts';
import { type Claim, claimOf } from '../core/verdict.ts';

/** Whether as many witnesses cosigned as the policy asks for; null where it names none. */
export function checkWitnesses(note: Note, { witnesses, quorum }: Policy): Claim | null {
  if (witnesses.length === 0) return null;
  const cosigned = new Map<string, string>();
  for (const { name, key } of witnesses) {
    const { status } = checkCosignature(note, key);
    if (status === 'refuted') {
      return claimOf('witness-signature-broken', {
        claim: 'checkpoint',
        grounds: 'key',
        says: `The checkpoint has a signature in the name of the witness ${name} that does not hold under its given key.`,
      });
    }
    if (status === 'verified') cosigned.set(toHex(key.id), name);
  }
  const others = witnesses.filter(({ key }) => !isCheckable(key)).map(({ name }) => name);
  const unknown =
    others.length === 0
      ? ''
      : ` Their keys are of a type that this version cannot check, so they do not count: ${others.join(', ')}.`;
  const names = cosigned.size === 0 ? 'none' : [...cosigned.values()].join(', ');
  if (quorum.threshold === 0) {
    const says = `The policy asks for no witness (quorum none), so it was not checked that others saw the same history. Witnesses in it that cosigned the checkpoint: ${names}.${unknown}`;
    return claimOf('witnesses-not-required', { claim: 'checkpoint', grounds: 'none', says });
  }
  const count = `Witnesses that cosigned the checkpoint, of the ${witnesses.length} in the given policy: ${names}`;
  return isReached(quorum, ({ key }) => cosigned.has(toHex(key.id)))
    ? claimOf('witnesses-enough', {
        claim: 'checkpoint',
        grounds: 'key',
        says: `${count}; the policy asks for no more, so the log could show another history only with their help.${unknown}`,
      })
    : claimOf('witnesses-too-few', {
        claim: 'checkpoint',
        grounds: 'none',
        says: `${count}; the policy asks for more.${unknown}`,
      });
}
