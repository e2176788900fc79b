import { type AnchorFinding, type AnchorVerifier, unproven } from '../core/anchor-verifier.ts';
import { excerpt, fromHex } from '../core/bytes.ts';
import { type AuthorityMoment, TOKEN_TOLERANCE_MS } from '../core/moment.ts';
import type { Rfc3161Anchor } from '../core/receipt-schema.ts';
import { formatTime } from '../core/time.ts';
import { claimOf, type VerdictCode } from '../core/verdict.ts';
import type { X509Certificate } from './certificate.ts';
import type { TokenOutcome } from './token-check.ts';
import type { TstInfo } from './tst-info.ts';

/** Tokens of timestamp authorities (RFC 3161). What reads them is loaded only once there is one. */
export const tsaVerifier: AnchorVerifier<Rfc3161Anchor> = {
  claims: 'one',
  async check({ authority, token }, root, { authorities }) {
    const { checkRoundToken } = await import('./own-token.ts');
    const outcome = await checkRoundToken(token, fromHex(root), authorities);
    return [
      tokenFinding(outcome, {
        whose: `The token of ${excerptLong(authority)}`,
        signed: 'the root of the round',
        asked: authorities.length > 0,
      }),
    ];
  },
};

/** The moment that a token stands for. What is finer than a millisecond counts as tolerance. */
export function tokenMoment({ time, accuracy }: TstInfo, { subjectText }: X509Certificate): AuthorityMoment {
  const tolerance = (accuracy ?? TOKEN_TOLERANCE_MS) + (time.finer ? 1 : 0);
  return { time: formatTime(time.ms), tolerance, authority: subjectText };
}

const CODES: Readonly<Record<Exclude<TokenOutcome['kind'], 'trusted' | 'untrusted'>, VerdictCode>> = {
  broken: 'token-broken',
  foreign: 'token-differs',
  unsigned: 'token-signer-missing',
  unfit: 'token-unfit',
  unsupported: 'token-unsupported',
};

interface TokenWords {
  /** Begins sentences about the token. */
  readonly whose: string;
  /** What the authority signed. */
  readonly signed: string;
  /** Whether any CA is trusted. */
  readonly asked: boolean;
}

/** What was found about a token, as a claim `anchor`. */
export function tokenFinding(outcome: TokenOutcome, { whose, signed, asked }: TokenWords): AnchorFinding {
  if (outcome.kind === 'trusted') {
    const { signer, ca, token } = outcome;
    const moment = tokenMoment(token.info, signer);
    const off =
      token.info.accuracy === null ? '; the authority does not say how exact that is, so a minute is granted' : '';
    const says = `${signer.subjectText} signed ${signed} at ${moment.time}${off}. ${ca.subjectText}, which you trust, vouches for it as of then; whether a certificate was revoked was not asked.`;
    return {
      claim: { ...claimOf('token-trusted', { claim: 'anchor', grounds: 'tsa', says }), time: moment.time },
      moment,
    };
  }
  if (outcome.kind === 'untrusted') {
    if (asked) {
      const says = `${whose} ${outcome.says}.`;
      return unproven(claimOf('token-not-trusted', { claim: 'anchor', grounds: 'none', says }));
    }
    const says = `${whose} is signed by its certificate. Whose that is was not checked: that needs the CA of the authority.`;
    return unproven(claimOf('authority-not-given', { claim: 'anchor', grounds: 'none', says }));
  }
  const refuted = outcome.kind === 'broken' || outcome.kind === 'foreign';
  const says = `${whose} ${outcome.says}.`.slice(0, 2_000);
  return unproven(claimOf(CODES[outcome.kind], { claim: 'anchor', grounds: refuted ? 'bytes' : 'none', says }));
}

/** The name as the receipt has it, which may hold anything. */
function excerptLong(name: string): string {
  return /^[\p{L}\p{N}\p{P}\p{S} ]{1,200}$/u.test(name) ? name : excerpt(name);
}
