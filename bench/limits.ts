/** Prints figures as they come, each with its limit where it has one, and remembers which missed theirs. */
export class Limits {
  readonly #missed: string[] = [];

  /** A figure without a limit. */
  note(what: string, value: number, beside = ''): void {
    console.log(`  ${what.padEnd(56)}${value.toFixed(2).padStart(10)}  ${beside}`);
  }

  atMost(what: string, value: number, limit: number, beside = ''): void {
    const met = value <= limit;
    if (!met) this.#missed.push(what);
    this.note(what, value, `${met ? 'met' : 'MISSED'}: at most ${limit}${beside === '' ? '' : `; ${beside}`}`);
  }

  /** Says what was missed; the process then ends with 1. */
  conclude(): void {
    console.log(this.#missed.length === 0 ? '\nall limits met' : `\nmissed: ${this.#missed.join('; ')}`);
    if (this.#missed.length > 0) process.exitCode = 1;
  }
}
