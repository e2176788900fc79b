/** Codes of verdicts that COSE receipts alone bring about: cose-receipt.test.ts shows each. */
export const COSE_CODES = [
  'cose-receipt-invalid',
  'cose-receipt-foreign',
  'cose-consistency',
  'cose-consistency-broken',
  'cose-consistency-by-key',
  'cose-entry-missing',
  'cose-path-broken',
  'cose-position-by-key',
  'cose-position-unchecked',
  'cose-signature-holds',
  'cose-signature-broken',
] as const;
