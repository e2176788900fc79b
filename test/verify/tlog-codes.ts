/** Codes of verdicts that tlog-proofs and witnesses alone bring about: tlog-proof.test.ts shows each. */
export const TLOG_CODES = [
  'tlog-proof-invalid',
  'witnesses-enough',
  'witnesses-too-few',
  'witnesses-not-required',
  'leaf-unknown',
  'witness-signature-broken',
] as const;
