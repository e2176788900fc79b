// Attacks on the index of digests. What it holds too much is no fault: a search compares the entry itself.

import type pg from 'pg';
import { mergeRuns } from '../../src/log/digest-merging.ts';
import { makeRuns } from '../../src/log/digest-runs.ts';
import { openDatabase } from '../../src/store/database.ts';
import { type Attack, DEMO, digestOfText } from './entry-attacks.ts';

const prefixed = (text: string): string => `'\\x${digestOfText(text).toString('hex').slice(0, 12)}'::bytea`;

/** First the hints are put into runs, as the service does once there are enough, and these together. */
const inRuns =
  (sql: string, merged = false): Exclude<Attack['work'], string> =>
  async (client: pg.Client, url: string) => {
    const database = openDatabase(url, { connections: 1 });
    try {
      await makeRuns(database, 1);
      if (merged) await mergeRuns(database, { rows: 1, depth: 1 });
    } finally {
      await database.end();
    }
    const { rowCount } = await client.query(sql);
    if (rowCount === 0) throw new Error(`nothing was altered by ${sql}`);
  };

/** Of entry 57 of demo: where it stands in its run. */
const RUN = `bucket = get_byte(${prefixed('paid 100 to Alice')}, 0)`;
const AT = `position(substring(${prefixed('paid 100 to Alice')} FROM 2) IN records)`;

const HAS_IT = `${AT} % 16 = 1`;

/** The same in a row of runs that were put together. */
const inMerged = (sql: string): Exclude<Attack['work'], string> => inRuns(`${sql} WHERE ${HAS_IT}`, true);

export const INDEX: Attack[] = [
  {
    name: 'hint of an entry cleared',
    work: `UPDATE digest_batches SET prefixes = overlay(prefixes PLACING '\\x000000000000' FROM (6 * (57 - first) + 1)::int)
           WHERE ${DEMO} AND first <= 57 AND first + length(prefixes) / 6 > 57`,
    code: 'digest-unindexed',
    log: 'demo',
    index: 57,
  },
  {
    name: 'hints of a commit deleted',
    work: `DELETE FROM digest_batches WHERE ${DEMO} AND first <= 600 AND first + length(prefixes) / 6 > 600`,
    code: 'digest-unindexed',
    log: 'demo',
    index: 600,
  },
  {
    name: 'hint of an entry cut out of its run',
    work: inRuns(
      `UPDATE digest_runs SET records = overlay(records PLACING '' FROM ${AT} FOR 16) WHERE ${RUN} AND ${AT} > 0`,
    ),
    code: 'digest-unindexed',
    log: 'demo',
    index: 57,
  },
  {
    name: 'hint of an entry made that of another',
    work: inRuns(
      `UPDATE digest_runs SET records = set_byte(records, ${AT} + 14, (get_byte(records, ${AT} + 14) + 1) % 256) WHERE ${RUN} AND ${AT} > 0`,
    ),
    code: 'digest-unindexed',
    log: 'demo',
    index: 57,
  },
  {
    name: 'run put under another first byte',
    work: inRuns(`UPDATE digest_runs SET run = -run, bucket = (bucket + 1) % 256 WHERE ${RUN} AND ${AT} > 0`),
    code: 'digest-unindexed',
    log: 'demo',
    index: 57,
  },
  ...[
    { name: 'merged row deleted', sql: 'DELETE FROM merged_digests' },
    {
      name: 'hint of an entry cut out of a merged row',
      sql: `UPDATE merged_digests SET records = overlay(records PLACING '' FROM ${AT} FOR 16)`,
    },
    {
      name: 'hint of an entry in a merged row cleared',
      sql: `UPDATE merged_digests SET records = overlay(records PLACING '\\x0000000000' FROM ${AT})`,
    },
    {
      name: 'merged row cut short',
      sql: `UPDATE merged_digests SET records = substring(records FROM 1 FOR ${AT} + 7)`,
    },
    {
      name: 'merged row with one byte before its records',
      sql: `UPDATE merged_digests SET records = '\\x00'::bytea || records`,
    },
    { name: 'merged row put under another node', sql: 'UPDATE merged_digests SET node = node + 1' },
    { name: 'merged row put at another depth', sql: 'UPDATE merged_digests SET depth = depth + 1' },
    { name: 'merged row with the range of two nodes', sql: 'UPDATE merged_digests SET node = node / 16, depth = 10' },
  ].map(({ name, sql }) => ({ name, work: inMerged(sql), code: 'digest-unindexed', log: 'demo', index: 57 })),
];
