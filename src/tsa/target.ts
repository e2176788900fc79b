// A target of the kind rfc3161: one timestamp authority, which signs a token over the root of each round.

import type { Logger } from 'pino';
import type { AnchorTarget } from '../anchor/target.ts';
import { equalBytes } from '../core/bytes.ts';
import { formatTime, MAX_CLOCK_SKEW_MS } from '../core/time.ts';
import type { Database } from '../store/database.ts';
import { type AuthorityClient, AuthorityError, authorityClient } from './authority-client.ts';
import { readCertificates, type X509Certificate } from './certificate.ts';
import { encodeRequest } from './request.ts';
import { checkToken } from './token-check.ts';
import {
  type AuthorityStamp,
  type Claimed,
  claimAuthority,
  type DueRound,
  pendingRoots,
  registerAuthority,
  releaseAuthority,
  storeToken,
} from './tokens.ts';
import { tokenMoment } from './verifier.ts';

/** An authority as it is configured. */
export interface AuthorityConfig {
  /** The name of the target. */
  readonly name: string;
  readonly url: string;
  /** PEM or DER: the CAs that tokens must chain to, and certificates that tokens lack. */
  readonly certificates: Uint8Array;
  /** OID that is asked for; null: the authority's own choice. */
  readonly policy: string | null;
  /** Milliseconds between two requests. */
  readonly pace: number;
  /** Whether it is one of a development machine, whose tokens prove nothing. */
  readonly ephemeral: boolean;
}

export interface TsaTargetOptions extends AuthorityConfig {
  /** Default: 1 where ephemeral, else the round after the newest when the target is first seen. */
  readonly firstRound?: number;
  /** Default: over HTTP. */
  readonly client?: AuthorityClient;
  /** Milliseconds after the first failure, doubled with each further one up to the longest. */
  readonly retry?: { readonly first: number; readonly most: number };
  readonly database: Database;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** 8 bytes. */
  readonly randomNonce: () => Uint8Array;
  readonly logger: Logger;
}

const TIMEOUT_MS = 10_000;
/** How long an authority belongs to the process that asks it. */
const LEASE_MS = 25_000;
/** After which a look is ended; what is left is due still. */
const PATIENCE_MS = 10_000;
const RETRY = { first: 2_000, most: 600_000 } as const;
/** Until the next look where another process asks. */
const BUSY_MS = 1_000;

export class TsaTarget implements AnchorTarget {
  readonly name: string;
  /** Of no chain, but of the form that chains have. */
  readonly chain: string;
  readonly #options: TsaTargetOptions;
  readonly #client: AuthorityClient;
  readonly #certificates: readonly X509Certificate[];
  #complaint: string | null = null;

  /** @throws FormatError `certificate-invalid` */
  constructor(options: TsaTargetOptions) {
    this.name = options.name;
    this.chain = `rfc3161:${options.name}`;
    this.#options = options;
    this.#client = options.client ?? authorityClient(TIMEOUT_MS);
    this.#certificates = readCertificates(options.certificates);
  }

  async register(): Promise<void> {
    const { database, ephemeral, firstRound = ephemeral ? 1 : null, now } = this.#options;
    const { name, chain } = this;
    await registerAuthority(database, { name, chain, ephemeral, firstRound, now: now() });
  }

  async advance(rounds: readonly number[]): Promise<Map<number, number | null>> {
    const { database, now } = this.#options;
    const due = await pendingRoots(database, this.name, rounds);
    const open = new Set(due.map(({ round }) => round));
    const end = now() + PATIENCE_MS;
    let wait = 0;
    for (const round of due) {
      const claimed = await claimAuthority(database, this.name, { now: now(), lease: LEASE_MS });
      if (typeof claimed === 'number') {
        wait = claimed;
        break;
      }
      const pause = await this.#stamp(round, claimed);
      if (pause.stamped) open.delete(round.round);
      wait = pause.wait;
      if (wait > 0 || now() >= end) break;
    }
    return new Map(rounds.map((round) => [round, open.has(round) ? Math.max(wait, BUSY_MS) : null]));
  }

  async unfinished(most: number): Promise<number[]> {
    const { rows } = await this.#options.database.query<{ round: number }>(
      `SELECT round FROM anchors WHERE target = $1 AND status <> 'finalized' ORDER BY round LIMIT $2`,
      [this.name, most],
    );
    return rows.map(({ round }) => round);
  }

  async inspect(): Promise<void> {}

  async newestFinalBlock(): Promise<null> {
    return null;
  }

  /** A token does not say for whom it was made, so there is nothing to compare. */
  async compare(): Promise<void> {}

  close(): void {
    this.#client.close();
  }

  /** Asks for one token. @returns milliseconds until the authority may be asked again */
  async #stamp(due: DueRound, claimed: Claimed): Promise<{ stamped: boolean; wait: number }> {
    const { database, pace, now, logger, retry = RETRY } = this.#options;
    try {
      const stamp = await this.#ask(due);
      await storeToken(database, { target: this.name, round: due.round, now: now() }, stamp);
      if (this.#complaint !== null) logger.info({ target: this.name }, 'the authority stamps again');
      this.#complaint = null;
      await releaseAuthority(database, this.name, claimed, { nextAt: now() + pace, problem: null, now: now() });
      return { stamped: true, wait: pace };
    } catch (error) {
      if (!(error instanceof AuthorityError)) throw error;
      const { message: problem, retryAfter } = error;
      if (problem !== this.#complaint) logger.warn({ target: this.name }, `no token: ${problem}`);
      this.#complaint = problem;
      const failed = Math.min(retry.first * 2 ** Math.min(claimed.failures, 30), retry.most);
      const wait = Math.max(failed, retryAfter ?? 0, pace);
      await releaseAuthority(database, this.name, claimed, { nextAt: now() + wait, problem, now: now() });
      return { stamped: false, wait };
    }
  }

  /** A token that holds. @throws AuthorityError */
  async #ask({ root, closedAt }: DueRound): Promise<AuthorityStamp> {
    const { url, policy, now, randomNonce } = this.#options;
    // A first bit that is set would make the number one byte longer.
    const nonce = randomNonce().map((byte, i) => (i === 0 ? (byte & 0x7f) | 0x40 : byte));
    const token = await this.#client.stamp(url, encodeRequest({ digest: root, nonce, policy }));
    const outcome = await checkToken(token, { hash: 'SHA-256', digest: root }, { certificates: this.#certificates });
    if (outcome.kind !== 'trusted') throw new AuthorityError(`its token ${outcome.says}`);
    const { info } = outcome.token;
    if (info.nonce === null || !equalBytes(info.nonce, nonce)) {
      throw new AuthorityError('its token does not repeat the nonce of the request');
    }
    if (policy !== null && info.policy !== policy) {
      throw new AuthorityError(`its token is by the policy ${info.policy}, not ${policy}`);
    }
    const { tolerance = 0, authority } = tokenMoment(info, outcome.signer);
    const { ms } = info.time;
    if (ms + tolerance < closedAt - MAX_CLOCK_SKEW_MS) {
      throw new AuthorityError(`its token is of ${formatTime(ms)}, before the round was closed`);
    }
    if (ms - tolerance > now() + MAX_CLOCK_SKEW_MS) {
      throw new AuthorityError(`its token is of ${formatTime(ms)}, which has not come yet`);
    }
    return { token, authority, time: ms, accuracy: info.accuracy };
  }
}
