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
