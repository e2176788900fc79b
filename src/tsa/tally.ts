// What both audits count: tokens of rounds, by authority.

import type { AnchorFaults, ChainOutcome, StampedAnswer } from '../core/anchor-audit.ts';
import { upperBound } from '../core/moment.ts';
import { formatTime, MAX_CLOCK_SKEW_MS } from '../core/time.ts';
import { readCertificates, type X509Certificate } from './certificate.ts';
import { checkToken } from './token-check.ts';
import { tokenMoment } from './verifier.ts';

/** The token of a round. */
export interface AuditedToken {
  readonly round: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
  /** Milliseconds since the Unix epoch. */
  readonly closedAt: number;
  /** By the word of whoever shows it. */
  readonly authority: string;
  /** DER. */
  readonly token: Uint8Array;
}

export class TokenTally {
  readonly #certificates: readonly X509Certificate[];
  readonly #faults: AnchorFaults;
  readonly #stamped = new Map<string, StampedAnswer>();
  readonly #others = new Map<string, { rounds: number; says: string }>();

  /** @param files PEM or DER @throws FormatError `certificate-invalid` */
  constructor(files: readonly Uint8Array[], faults: AnchorFaults) {
    this.#certificates = files.flatMap(readCertificates);
    this.#faults = faults;
  }

  async take({ round, root, closedAt, authority, token }: AuditedToken): Promise<void> {
    const outcome = await checkToken(token, { hash: 'SHA-256', digest: root }, { certificates: this.#certificates });
    if (outcome.kind === 'broken' || outcome.kind === 'foreign') {
      this.#faults.add('timestamp-broken', { round }, `the token of ${authority} for round ${round} ${outcome.says}`);
      return;
    }
    if (outcome.kind !== 'trusted') {
      const says = this.#certificates.length === 0 ? 'no CA of an authority was given' : `the first ${outcome.says}`;
      const known = this.#others.get(authority);
      this.#others.set(authority, { rounds: (known?.rounds ?? 0) + 1, says: known?.says ?? says });
      return;
    }
    const moment = tokenMoment(outcome.token.info, outcome.signer);
    if (upperBound(moment) < closedAt - MAX_CLOCK_SKEW_MS) {
      const says = `the token of ${moment.authority} for round ${round} is of ${moment.time}, and the round was closed at ${formatTime(closedAt)}`;
      this.#faults.add('anchor-before-close', { round }, says);
      return;
    }
    const { count = 0, newest = { round, moment } } = this.#stamped.get(moment.authority) ?? {};
    this.#stamped.set(moment.authority, {
      count: count + 1,
      newest: round >= newest.round ? { round, moment } : newest,
    });
  }

  outcomes(): ChainOutcome[] {
    return [
      ...[...this.#stamped].map(([authority, answer]): ChainOutcome => ({ kind: 'stamped', authority, answer })),
      ...[...this.#others].map(
        ([authority, { rounds, says }]): ChainOutcome => ({
          kind: 'not-trusted',
          authority,
          rounds,
          says,
        }),
      ),
    ];
  }
}
