// Where entries lie: the stretches of a log, and what lies where nothing should.

import type { Log } from '../../log/log.ts';
import { partitionRange } from '../../log/partition-map.ts';
import type { Queryable } from '../../store/database.ts';
import type { Findings } from '../checks/findings.ts';

/** A run of entries in one segment. */
export interface Run {
  readonly segment: number;
  readonly begin: number;
  readonly end: number;
}

/** Which segment holds which stretch of one log. */
export class Placement {
  readonly #segments: Map<number, number>;

  private constructor(segments: Map<number, number>) {
    this.#segments = segments;
  }

  /** Reads the stretches of a log and compares them with those that its size makes. */
  static async read(db: Queryable, log: Log, size: number, findings: Findings): Promise<Placement> {
    const { rows } = await db.query<{ first_index: number; segment: number }>(
      'SELECT first_index, segment FROM stretches WHERE log = $1 ORDER BY first_index',
      [log.id],
    );
    const segments = new Map(rows.map(({ first_index, segment }) => [first_index, segment]));
    for (const first of segments.keys()) {
      if (first >= size) {
        const says = `${log.name} has a place for entry ${first}, and with ${size} entries is too short for it`;
        findings.add('log-cut-off', { log: log.name, index: size }, says);
      } else if (first < 0 || partitionRange(first).begin !== first) {
        findings.add(
          'stretch-differs',
          { log: log.name, index: first },
          `${log.name} has a stretch that begins at ${first}`,
        );
      }
    }
    for (let begin = 0; begin < size; begin = partitionRange(begin).end) {
      if (segments.has(begin)) continue;
      findings.add(
        'stretch-differs',
        { log: log.name, index: begin },
        `${log.name} has no stretch that begins at ${begin}`,
      );
    }
    return new Placement(segments);
  }

  /** The run from `begin` on, to `end` at the most; null where its stretch has no segment. */
  run(begin: number, end: number): Run | null {
    const segment = this.#segments.get(partitionRange(begin).begin);
    if (segment === undefined) return null;
    let to = partitionRange(begin).end;
    while (to < end && this.#segments.get(to) === segment) to = partitionRange(to).end;
    return { segment, begin, end: Math.min(to, end) };
  }

  /** Corrects where a stretch lies, as found. */
  correct(index: number, segment: number): void {
    this.#segments.set(partitionRange(index).begin, segment);
  }
}

/** The segment that holds an entry, wherever that is; null where none does. Slow: it asks every segment. */
export async function findEntry(db: Queryable, log: number, index: number): Promise<number | null> {
  const { rows } = await db.query<{ segment: number }>(
    'SELECT segment FROM entries WHERE log = $1 AND index = $2 LIMIT 1',
    [log, index],
  );
  return rows[0]?.segment ?? null;
}

// Of a stretch so much lies within the log as its row says.
const WITHIN = `least(CASE WHEN s.first_index = 0 THEN 64 WHEN s.first_index < 65536 THEN s.first_index * 2
                           ELSE s.first_index + 65536 END, l.size)`;

/** Looks in every segment for entries that no log has there: put in, beyond the head, or of a log that is gone. */
export async function checkSegments(db: Queryable, findings: Findings): Promise<void> {
  const { rows: segments } = await db.query<{ id: number }>('SELECT id FROM segments ORDER BY id');
  const { rows: partitions } = await db.query<{ count: number }>(
    `SELECT count(*) FROM pg_partition_tree('entries') WHERE isleaf`,
  );
  const count = partitions[0]?.count ?? 0;
  if (count !== segments.length) {
    findings.add('entry-stray', {}, `there are ${count} partitions of entries for ${segments.length} segments`);
  }
  for (const { id } of segments) await checkSegment(db, id, findings);
}

async function checkSegment(db: Queryable, segment: number, findings: Findings): Promise<void> {
  const { rows } = await db.query<{ log: number; name: string | null; size: number | null }>(
    `SELECT log, l.name, l.size
     FROM (SELECT log, count(*) AS entries FROM entries WHERE segment = $1 GROUP BY log) AS found
     LEFT JOIN (SELECT s.log, sum(greatest(0, ${WITHIN} - s.first_index)) AS entries
                FROM stretches s JOIN logs l ON l.id = s.log WHERE s.segment = $1 GROUP BY s.log) AS due USING (log)
     LEFT JOIN logs l ON l.id = log
     WHERE found.entries > coalesce(due.entries, 0) ORDER BY log LIMIT 100`,
    [segment],
  );
  for (const { log, name, size } of rows) {
    if (name === null) {
      findings.add('log-gone', {}, `segment ${segment} has entries of a log ${log} that is not there`);
      continue;
    }
    const stray = await db.query<{ index: number }>(
      `SELECT e.index FROM entries e WHERE e.segment = $1 AND e.log = $2
         AND NOT EXISTS (SELECT FROM stretches s JOIN logs l ON l.id = s.log
                         WHERE s.log = $2 AND s.segment = $1 AND e.index >= s.first_index AND e.index < ${WITHIN})
       ORDER BY e.index LIMIT 1`,
      [segment, log],
    );
    const index = stray.rows[0]?.index ?? null;
    const where =
      index !== null && size !== null && index >= size ? `beyond its ${size} entries` : 'where it has no place';
    const says =
      index === null
        ? `segment ${segment} has more entries of ${name} than there can be`
        : `${name} has an entry ${index} ${where}`;
    findings.add('entry-stray', { log: name, index }, says);
  }
}
