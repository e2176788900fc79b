import { type ErrorCode, FormatError } from '../core/errors.ts';

/** Bytes that are no OpenTimestamps proof, and where they stop being one. */
export class OtsError extends FormatError {
  /** From 0: the byte of the input at which what is wrong begins; the length of the input where it is cut short. */
  readonly offset: number;

  constructor(code: ErrorCode, message: string, offset: number, options?: { cause?: unknown }) {
    super(code, `byte ${offset}: ${message}`, options);
    this.name = 'OtsError';
    this.offset = offset;
  }
}

/** Runs `make`, and says of the FormatError it throws at which byte of the input that was. */
export function locate<T>(offset: number, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof FormatError) || error instanceof OtsError) throw error;
    throw new OtsError(error.code, error.message, offset, { cause: error });
  }
}
