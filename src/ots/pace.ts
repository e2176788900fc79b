// When to try again, milliseconds.

export interface Pace {
  /** For each question to a calendar. */
  readonly timeout: number;
  /** So long whoever asks a calendar is believed to be alive; he may ask at two addresses. */
  readonly lease: number;
  /** After a failure: the first wait, each twice the one before, up to the last. */
  readonly retry: { readonly first: number; readonly most: number };
  /** While a calendar has no more to tell: each half as long again as the one before. */
  readonly upgrade: { readonly first: number; readonly most: number };
  /** So long whoever looks blocks up is believed to be alive. */
  readonly lookup: number;
  /** Between looks at a block that is not deep enough, or not there. */
  readonly confirm: number;
  /** Between looks at a confirmed block until it is buried. */
  readonly watch: number;
}

/** Bitcoin's: a block takes ten minutes, and a calendar's transaction some hours. */
export const UNHURRIED: Pace = {
  timeout: 10_000,
  lease: 25_000,
  retry: { first: 5_000, most: 600_000 },
  upgrade: { first: 300_000, most: 3_600_000 },
  lookup: 60_000,
  confirm: 60_000,
  watch: 600_000,
};

/** For a chain of one's own machine that mines every few seconds. */
export const QUICK: Pace = {
  timeout: 2_000,
  lease: 5_000,
  retry: { first: 500, most: 3_000 },
  upgrade: { first: 1_000, most: 3_000 },
  lookup: 10_000,
  confirm: 1_000,
  watch: 5_000,
};

/** @param attempt from 1 */
export function afterFailure({ retry }: Pace, attempt: number): number {
  return Math.min(retry.first * 2 ** Math.min(attempt - 1, 30), retry.most);
}

/** @param attempt from 1 */
export function untilUpgrade({ upgrade }: Pace, attempt: number): number {
  return Math.round(Math.min(upgrade.first * 1.5 ** Math.min(attempt - 1, 30), upgrade.most));
}
