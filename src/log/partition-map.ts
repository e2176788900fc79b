import { AntequemError } from '../core/errors.ts';
import { LruCache } from '../core/lru.ts';
import { type Database, type Queryable, transaction } from '../store/database.ts';
import { takeLock } from '../store/service-name.ts';

const FIRST = 64;
const LARGEST = 65_536;
/** Index places in a segment: the digest index of a partition of a million still fits the cache it is built in. */
const SEGMENT_CAPACITY = 1_048_576;

/** No segment has room for the next stretch: open one, outside the transaction, and try again. */
export class SegmentFull extends AntequemError {
  constructor() {
    super('segment-full', 'the open segment has no room for another range');
  }
}

/** The indices from `begin` up to, not including, `end`. */
export interface IndexRange {
  readonly begin: number;
  readonly end: number;
}

/** The stretch that `index` lies in: [0,64), then doubling to 65,536, then as large each. */
export function partitionRange(index: number): IndexRange {
  if (index < FIRST) return { begin: 0, end: FIRST };
  if (index >= LARGEST) {
    const begin = index - (index % LARGEST);
    return { begin, end: begin + LARGEST };
  }
  let begin = FIRST;
  while (begin * 2 <= index) begin *= 2;
  return { begin, end: begin * 2 };
}

/** Which segment holds which stretch. Never changes once it is so, hence remembered. */
export class PartitionMap {
  readonly #known = new LruCache<string, number>(100_000);

  /** The segment of the stretch that holds `index`, null where the log has none there. */
  async find(db: Queryable, log: number, index: number): Promise<number | null> {
    const { begin } = partitionRange(index);
    const known = this.#known.get(`${log}/${begin}`);
    if (known !== undefined) return known;
    const { rows } = await db.query<{ segment: number }>(
      'SELECT segment FROM stretches WHERE log = $1 AND first_index = $2',
      [log, begin],
    );
    const segment = rows[0]?.segment;
    if (segment === undefined) return null;
    this.#remember(log, begin, segment);
    return segment;
  }

  /** The same where the entry must be there. @throws AntequemError `log-damaged` */
  async locate(db: Queryable, log: number, index: number): Promise<{ range: IndexRange; segment: number }> {
    const segment = await this.find(db, log, index);
    if (segment === null)
      throw new AntequemError('log-damaged', `log ${log} has no place for entry ${index}: run an audit`);
    return { range: partitionRange(index), segment };
  }

  /**
   * The same within an append: a stretch that is not there is taken from the open segment.
   * @throws SegmentFull
   */
  async take(tx: Queryable, log: number, index: number): Promise<number> {
    const found = await this.find(tx, log, index);
    if (found !== null) return found;
    const { begin, end } = partitionRange(index);
    const { rows } = await tx.query<{ id: number }>(
      `UPDATE segments SET reserved = reserved + $1
       WHERE id = (SELECT max(id) FROM segments) AND reserved + $1 <= $2 RETURNING id`,
      [end - begin, SEGMENT_CAPACITY],
    );
    const segment = rows[0]?.id;
    if (segment === undefined) throw new SegmentFull();
    await tx.query('INSERT INTO stretches (log, first_index, segment) VALUES ($1, $2, $3)', [log, begin, segment]);
    return segment;
  }

  #remember(log: number, begin: number, segment: number): void {
    // A bound, not a cache policy: what is forgotten costs one look-up.
    this.#known.set(`${log}/${begin}`, segment);
  }
}

/** Opens the next segment unless another process just did. */
export async function openSegment(database: Database): Promise<void> {
  await transaction(
    database,
    async (tx) => {
      await takeLock(tx, 'segment');
      const { rows } = await tx.query<{ id: number; reserved: number }>(
        'SELECT id, reserved FROM segments ORDER BY id DESC LIMIT 1',
      );
      const last = rows[0];
      if (last === undefined || last.reserved + LARGEST > SEGMENT_CAPACITY) {
        await tx.query('SELECT open_segment($1)', [(last?.id ?? 0) + 1]);
      }
    },
    { deadline: 30_000 },
  );
}
