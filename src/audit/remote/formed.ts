import { FormatError } from '../../core/errors.ts';

/** What a reader makes of bytes or text from outside; null where they break the form. */
export function formed<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}
