/** Codes of verdicts that OpenTimestamps alone brings about: ots.test.ts shows each. */
export const OTS_CODES = [
  'attestation-confirmed',
  'attestation-differs',
  'attestation-pending',
  'attestation-unknown',
  'attestation-unsupported',
  'attestations-left-out',
] as const;
