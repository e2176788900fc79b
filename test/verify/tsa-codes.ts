/** Codes of verdicts that tokens of timestamp authorities alone bring about: tsa/verifier.test.ts shows each. */
export const TSA_CODES = [
  'authority-not-given',
  'token-broken',
  'token-differs',
  'token-not-trusted',
  'token-signer-missing',
  'token-trusted',
  'token-unfit',
  'token-unsupported',
] as const;

/** Of tokens by themselves, whether their authority logged them: token.test.ts shows each. */
export const TOKEN_LOG_CODES = [
  'token-log-unknown',
  'token-log-waiting',
  'token-logged',
  'token-not-logged',
  'token-path-broken',
] as const;
