// Who witnesses the checkpoints, and how many of them are needed: a policy in the form of C2SP tlog-policy.

import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { isCheckable } from '../core/cosignature.ts';
import { messageOf } from '../core/errors.ts';
import { isReached, type Policy, readPolicy } from '../core/policy.ts';
import type { WitnessSettings } from '../witness/witnesses.ts';
import { duration } from './settings.ts';

/** What concerns witnesses in the environment. */
export const witnessVariables = {
  WITNESS_POLICY_FILE: z
    .string()
    .min(1)
    .optional()
    .describe('A policy of witnesses that cosign checkpoints (C2SP tlog-policy).'),
  WITNESS_TIMEOUT: duration
    .default(2_000)
    .describe('How long a request for a checkpoint waits for the quorum at most.'),
  WITNESS_INTERVAL: duration
    .default(30_000)
    .describe('How often a worker offers the checkpoints of rounds that were not asked for.'),
  WITNESS_MISSING: z
    .enum(['publish', 'hold'], 'not publish or hold')
    .default('publish')
    .describe(
      'What to show if the quorum is not reached in time: `publish` the checkpoint with the cosignatures that arrived, `hold` the newest checkpoint that reached the quorum.',
    ),
};

type Variables = z.output<z.ZodObject<typeof witnessVariables>>;

/** The settings as they were set, and everything that is wrong with them. */
export function readWitnesses(
  set: Readonly<Record<string, string | undefined>>,
  data: Variables | undefined,
): { settings: WitnessSettings | null; faults: readonly string[] } {
  const file = set.WITNESS_POLICY_FILE;
  if (file === undefined) {
    const alone = Object.keys(witnessVariables).filter((name) => set[name] !== undefined);
    const faults = alone.length === 0 ? [] : [`WITNESS_POLICY_FILE: must be set beside ${alone.join(', ')}`];
    return { settings: null, faults };
  }
  const { policy, faults } = readPolicyFile(file);
  if (policy === null || data === undefined) {
    return { settings: null, faults: faults.map((fault) => `WITNESS_POLICY_FILE: ${fault}`) };
  }
  const { WITNESS_TIMEOUT: timeout, WITNESS_INTERVAL: interval, WITNESS_MISSING: missing } = data;
  return { settings: { policy, timeout, interval, missing }, faults: [] };
}

/** A policy that a service can follow, or all that is wrong with it. Never throws. */
function readPolicyFile(file: string): { policy: Policy | null; faults: readonly string[] } {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    return { policy: null, faults: [`${file} cannot be read: ${messageOf(cause)}`] };
  }
  const { policy, faults } = readPolicy(bytes);
  if (policy === null) return { policy, faults: faults.map((fault) => `${file}, ${fault}`) };
  const unfit = unfitness(policy).map((fault) => `${file}: ${fault}`);
  return { policy: unfit.length > 0 ? null : policy, faults: unfit };
}

/** A policy need not say where witnesses are; who is to ask them must know. */
function unfitness({ witnesses, quorum }: Policy): string[] {
  const faults = witnesses.flatMap(({ name, url }) =>
    url === null || isHttp(url) ? [] : [`the URL of the witness ${name} is none with http:// or https://`],
  );
  if (!isReached(quorum, ({ key, url }) => url !== null && isCheckable(key))) {
    faults.push(
      'the quorum cannot be reached: too few of its witnesses have a URL, where checkpoints are offered, and a key of a ' +
        'type that can be checked (0x04 Ed25519, 0x06 ML-DSA-44)',
    );
  }
  return faults;
}

function isHttp(url: string): boolean {
  const parsed = URL.parse(url);
  return parsed !== null && ['http:', 'https:'].includes(parsed.protocol) && parsed.search === '' && parsed.hash === '';
}
