import { AntequemError } from '../core/errors.ts';

/**
 * Works on all, one after the other. One that fails by such a code holds up no other: the first of these failures is thrown
 * in the end. Any other failure ends it.
 */
export async function inTurn<T>(
  all: Iterable<T>,
  codes: readonly string[],
  work: (one: T) => Promise<void>,
): Promise<void> {
  let failure: AntequemError | null = null;
  for (const one of all) {
    try {
      await work(one);
    } catch (error) {
      if (!(error instanceof AntequemError) || !codes.includes(error.code)) throw error;
      failure ??= error;
    }
  }
  if (failure !== null) throw failure;
}
