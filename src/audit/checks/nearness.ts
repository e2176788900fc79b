/** Milliseconds that may lie between an act and what its tables say of its time: a transaction that waited. */
const NEAR = 60_000;

/** Whether two times, milliseconds, can be of one act; null: it did not take place. */
export function near(a: number | null, b: number | null): boolean {
  return a === null || b === null ? a === b : Math.abs(a - b) <= NEAR;
}
