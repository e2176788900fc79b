import { type Act, logNameOf } from './acts.ts';
import type { Findings } from './findings.ts';

/**
 * Holds may be lost with a database that is set back. So nothing is erased from `recovered` on until `holds-confirmed`. Takes
 * the acts of `_system` in their order.
 */
export class UnconfirmedHolds {
  readonly #findings: Findings;
  readonly #origin: string;
  #since: number | null;

  /** @param since what an earlier audit knew, milliseconds */
  constructor(findings: Findings, serviceOrigin: string, since: number | null = null) {
    this.#findings = findings;
    this.#origin = serviceOrigin;
    this.#since = since;
  }

  /** When the operator declared the loss, milliseconds; null: the holds are confirmed. */
  get since(): number | null {
    return this.#since;
  }

  take(act: Act): void {
    // Releases before holds did not ask for them to be confirmed.
    if (act.act === 'recovered' && act.holds === 'unconfirmed') this.#since ??= act.at;
    else if (act.act === 'holds-confirmed') this.#since = null;
    else if (act.act === 'entry-erased') this.#refuse(act.entry, act.log, act.index);
    else if (act.act === 'entries-erased') for (const { log, first } of act.ranges) this.#refuse(act.entry, log, first);
  }

  #refuse(entry: number, log: string, index: number): void {
    if (this.#since === null) return;
    const name = logNameOf(this.#origin, log);
    const says = `entry ${entry} of _system tells that entry ${index} of ${name ?? log} was erased before the holds were confirmed`;
    this.#findings.add('hold-differs', { log: name, index }, says);
  }
}
