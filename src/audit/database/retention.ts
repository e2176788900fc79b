import { formatPeriod } from '../../core/period.ts';
import { formatTime, parseTime } from '../../core/time.ts';
import type { Queryable } from '../../store/database.ts';
import { type ActOf, logNameOf } from '../checks/acts.ts';
import type { Findings } from '../checks/findings.ts';

/** Between the moment that a run reckons from and the time of its act. */
const RUN_TOLERANCE_MS = 60_000;

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

  /** A run erases what is older than its log keeps it, as `_system` told by then, and nothing under a hold. */
  async ran(db: Queryable, { run, ranges, at }: ActOf<'entries-erased'>): Promise<void> {
    for (const { log, first, count, before } of ranges) {
      const place = { log: logNameOf(this.#origin, log), index: first };
      const says = `run ${run} of retention names entries ${first} to ${first + count - 1} of ${place.log ?? log}`;
      const period = this.#periods.get(log);
      if (period === undefined || parseTime(before) > at - period + RUN_TOLERANCE_MS) {
        const how = `received before ${before}, which by _system was to keep them ${kept(period)}`;
        this.#findings.add('retention-differs', place, `${says}, ${how}`);
      } else if (await someReceived(db, log, [first, count], { since: before, until: null })) {
        this.#findings.add('retention-differs', place, `${says}, and not all were received before ${before}`);
      }
      await this.#compareErased(db, log, [first, count], says);
    }
  }

  /** Erasing a single entry is not told of while a hold keeps it. */
  async erased(db: Queryable, { log, index, entry }: ActOf<'entry-erased'>): Promise<void> {
    const name = logNameOf(this.#origin, log) ?? log;
    await this.#compareErased(
      db,
      log,
      [index, 1],
      `entry ${entry} of _system tells that entry ${index} of ${name} was erased`,
    );
  }

  async #compareErased(db: Queryable, log: string, range: readonly [number, number], says: string): Promise<void> {
    for (const [id, hold] of this.#holds) {
      if (hold.log !== log || !(await someReceived(db, log, range, hold))) continue;
      const place = { log: logNameOf(this.#origin, log), index: range[0] };
      this.#findings.add('hold-differs', place, `${says}, while the hold ${id} kept some of them`);
    }
  }

  /** @param unconfirmed since when the holds are to be confirmed, milliseconds; null: they are */
  async finish(db: Queryable, unconfirmed: number | null): Promise<void> {
    await this.#comparePeriods(db);
    await this.#compareHolds(db);
    if (unconfirmed === null) return;
    const { rowCount } = await db.query('SELECT FROM retention_state WHERE unconfirmed_since IS NOT NULL');
    if (rowCount !== 0) return;
    const says = `by _system the holds are not confirmed since ${formatTime(unconfirmed)}, and the database lets entries be erased`;
    this.#findings.add('hold-differs', {}, says);
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

/** Whether an entry of `count` from `first` on was received from `since` on and before `until`. */
async function someReceived(
  db: Queryable,
  log: string,
  [first, count]: readonly [number, number],
  { since, until }: Pick<ToldHold, 'since' | 'until'>,
): Promise<boolean> {
  const { rowCount } = await db.query(
    `SELECT FROM blocks b, generate_series(greatest(b.first, $2), least(b.first + b.count, $2::bigint + $3::bigint) - 1) AS e (index)
     WHERE b.log = (SELECT id FROM logs WHERE origin = $1) AND b.first > $2::bigint - 256 AND b.first < $2::bigint + $3::bigint
       AND b.received_at < coalesce($5::bigint, 9007199254740991)
       AND time_in_block(b, b.first + b.count - 1) >= coalesce($4::bigint, 0)
       AND time_in_block(b, e.index) >= coalesce($4::bigint, 0) AND time_in_block(b, e.index) < coalesce($5::bigint, 9007199254740991)
     LIMIT 1`,
    [log, first, count, since === null ? null : parseTime(since), until === null ? null : parseTime(until)],
  );
  return rowCount !== 0;
}

function kept(period: number | undefined): string {
  return period === undefined ? 'for ever' : `for ${formatPeriod(period)}`;
}

function textOf(time: number | null): string | null {
  return time === null ? null : formatTime(time);
}
