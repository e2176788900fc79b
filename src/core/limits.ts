/** An entry has this many bytes at most; of what is larger the digest alone can be logged. */
export const MAX_ENTRY_BYTES = 1 << 20;

/** One request to append holds this many entries at most. */
export const MAX_BATCH_ENTRIES = 10_000;

/** The body of one request to append has this many bytes at most. */
export const MAX_BATCH_BYTES = 8 << 20;
