import { formatPeriod } from '../../core/period.ts';
import { formatTime } from '../../core/time.ts';
import type { Queryable } from '../../store/database.ts';
import { type ActOf, logNameOf } from '../checks/acts.ts';
import type { Findings } from '../checks/findings.ts';

type ToldHold = Pick<ActOf<'hold-added'>, 'log' | 'since' | 'until' | 'reason'>;

/**
 * How long logs keep their entries, and the legal holds, as `_system` tells of them, compared with the tables: whoever
 * alters these has entries erased, or kept, that should not be.
 */
export class RetentionActs {
  readonly #findings: Findings;
  readonly #origin: string;
  /** Milliseconds by the origin of the log. */
  readonly #periods = new Map<string, number>();
  readonly #holds = new Map<string, ToldHold>();

  constructor(findings: Findings, serviceOrigin: string) {
    this.#findings = findings;
    this.#origin = serviceOrigin;
  }

  set(log: string, period: number): void {
    this.#periods.set(log, period);
  }

  clear(log: string): void {
    this.#periods.delete(log);
  }

  holdAdded({ hold, log, since, until, reason }: ActOf<'hold-added'>): void {
    this.#holds.set(hold, { log, since, until, reason });
  }

  holdRemoved({ hold }: ActOf<'hold-removed'>): void {
    this.#holds.delete(hold);
  }

  async finish(db: Queryable): Promise<void> {
    await this.#comparePeriods(db);
    await this.#compareHolds(db);
  }

  async #comparePeriods(db: Queryable): Promise<void> {
    const { rows } = await db.query<{ log: string; period: number }>(
      'SELECT l.origin AS log, r.period FROM retention r JOIN logs l ON l.id = r.log',
    );
    const periods = new Map(rows.map(({ log, period }) => [log, period]));
    for (const log of new Set([...periods.keys(), ...this.#periods.keys()])) {
      const [is, told] = [periods.get(log), this.#periods.get(log)];
      if (is === told) continue;
      const name = logNameOf(this.#origin, log);
      const says = `${name ?? log} keeps entries ${kept(is)}, and by _system ${kept(told)}`;
      this.#findings.add('retention-differs', { log: name }, says);
    }
  }

  async #compareHolds(db: Queryable): Promise<void> {
    const { rows } = await db.query<{
      id: string;
      log: string;
      since: number | null;
      until: number | null;
      reason: string;
    }>(
      'SELECT h.id, l.origin AS log, h.since, h.until, h.reason FROM holds h JOIN logs l ON l.id = h.log ORDER BY h.id',
    );
    for (const { id, since, until, ...row } of rows) {
      const told = this.#holds.get(id);
      this.#holds.delete(id);
      const is: ToldHold = { ...row, since: textOf(since), until: textOf(until) };
      const same =
        told !== undefined &&
        told.log === is.log &&
        told.since === is.since &&
        told.until === is.until &&
        told.reason === is.reason;
      if (same) continue;
      const says = told === undefined ? 'is there, and _system does not tell of it' : 'is not what _system tells of it';
      this.#findings.add('hold-differs', { log: logNameOf(this.#origin, row.log) }, `the hold ${id} ${says}`);
    }
    for (const [id, { log }] of this.#holds) {
      const says = `_system tells of the hold ${id}, which is missing`;
      this.#findings.add('hold-differs', { log: logNameOf(this.#origin, log) }, says);
    }
  }
}

function kept(period: number | undefined): string {
  return period === undefined ? 'for ever' : `for ${formatPeriod(period)}`;
}

function textOf(time: number | null): string | null {
  return time === null ? null : formatTime(time);
}
