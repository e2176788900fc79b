/** The most bytes of an entry. Of larger content only the digest can be logged. */
export const MAX_ENTRY_BYTES = 1 << 20;

/**
 * The most entries of one request to append; clients/python has the same number. It may only be raised: records of
 * repeated requests are found by going back as far as one request reaches.
 */
export const MAX_BATCH_ENTRIES = 10_000;

/** The most bytes in the body of one request to append. */
export const MAX_BATCH_BYTES = 8 << 20;

/** Of a COSE receipt: its longest path is of 54 hashes. */
export const MAX_COSE_RECEIPT_BYTES = 8_192;
