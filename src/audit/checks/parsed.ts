import { FormatError } from '../../core/errors.ts';

/** What bytes or text from outside say; null where they break the format. */
export function parsed<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}
