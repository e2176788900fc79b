// Attacks on entries and on what they hang on, as SQL. The history they are done to is that of test/support/history.ts.

import type pg from 'pg';

export interface Attack {
  readonly name: string;
  readonly work: string | ((client: pg.Client, url: string) => Promise<void>);
  readonly code: string;
  /** The log and the first entry that is named; null: none can be. */
  readonly log: string | null;
  readonly index: number | null;
  readonly round?: number;
}

export const DEMO = `log = (SELECT id FROM logs WHERE name = 'demo')`;
export const PLAIN = `log = (SELECT id FROM logs WHERE name = 'plain')`;
export const SYSTEM = `log = (SELECT id FROM logs WHERE name = '_system')`;
/** Makes the leaf hash of an entry of demo what its row says. */
const LEAF = (index: number): string => `
  UPDATE entries e SET leaf_hash = sha256('\\x0001'::bytea || int8send(e.received_at) || p.leaf_hash || e.commitment)
  FROM entries p WHERE e.${DEMO} AND e.index = ${index} AND p.log = e.log AND p.index = e.index - 1`;

export const ENTRIES: Attack[] = [
  {
    name: 'payload changed',
    work: `UPDATE entries SET payload = 'paid 900 to Mallory' WHERE ${DEMO} AND index = 57`,
    code: 'payload-differs',
    log: 'demo',
    index: 57,
  },
  {
    name: 'large payload changed',
    work: `UPDATE entries SET payload = set_byte(payload, 8999, 66) WHERE ${DEMO} AND index = 58`,
    code: 'payload-differs',
    log: 'demo',
    index: 58,
  },
  {
    name: 'digest changed',
    work: `UPDATE entries SET digest = sha256('x') WHERE ${DEMO} AND index = 59`,
    code: 'commitment-differs',
    log: 'demo',
    index: 59,
  },
  {
    name: 'payload and digest changed',
    work: `UPDATE entries SET payload = 'x', digest = sha256('x') WHERE ${DEMO} AND index = 57`,
    code: 'commitment-differs',
    log: 'demo',
    index: 57,
  },
  {
    name: 'nonce changed',
    work: `UPDATE entries SET nonce = sha256(nonce) WHERE ${DEMO} AND index = 100`,
    code: 'commitment-differs',
    log: 'demo',
    index: 100,
  },
  {
    name: 'nonce given to an unblinded log',
    work: `UPDATE entries SET nonce = '\\x00112233445566778899aabbccddeeff' WHERE ${PLAIN} AND index = 4`,
    code: 'commitment-differs',
    log: 'plain',
    index: 4,
  },
  {
    name: 'payload, digest and commitment changed',
    work: `UPDATE entries SET payload = 'x', digest = sha256('x'), commitment = sha256(sha256('x') || nonce) WHERE ${DEMO} AND index = 57`,
    code: 'entry-altered',
    log: 'demo',
    index: 57,
  },
  {
    name: 'the same, and the leaf hash',
    work: `UPDATE entries SET payload = 'x', digest = sha256('x'), commitment = sha256(sha256('x') || nonce) WHERE ${DEMO} AND index = 57; ${LEAF(57)}`,
    code: 'tile-differs',
    log: 'demo',
    index: 57,
  },
  {
    name: 'time changed',
    work: `UPDATE entries SET received_at = received_at + 1 WHERE ${DEMO} AND index = 200`,
    code: 'entry-altered',
    log: 'demo',
    index: 200,
  },
  {
    name: 'time set before the entry before',
    work: `UPDATE entries SET received_at = 5 WHERE ${DEMO} AND index = 649; ${LEAF(649)}`,
    code: 'time-decreases',
    log: 'demo',
    index: 649,
  },
  {
    name: 'entry deleted',
    work: `DELETE FROM entries WHERE ${DEMO} AND index = 300`,
    code: 'entry-missing',
    log: 'demo',
    index: 300,
  },
  {
    name: 'entry deleted, the others moved up',
    work: `DELETE FROM entries WHERE ${DEMO} AND index = 300; UPDATE entries SET index = -index WHERE ${DEMO} AND index > 300; UPDATE entries SET index = -index - 1 WHERE ${DEMO} AND index < 0`,
    code: 'entry-altered',
    log: 'demo',
    index: 300,
  },
  {
    name: 'two entries swapped',
    work: `UPDATE entries SET index = -1 WHERE ${DEMO} AND index = 20; UPDATE entries SET index = 20 WHERE ${DEMO} AND index = 30; UPDATE entries SET index = 30 WHERE ${DEMO} AND index = -1`,
    code: 'entry-altered',
    log: 'demo',
    index: 20,
  },
  {
    name: 'entry put in, the others moved down',
    work: `UPDATE entries SET index = -index - 1 WHERE ${DEMO} AND index >= 40; UPDATE entries SET index = -index WHERE ${DEMO} AND index < 0; INSERT INTO entries SELECT segment, log, 40, received_at, digest, nonce, commitment, leaf_hash, payload FROM entries WHERE ${DEMO} AND index = 39`,
    code: 'entry-altered',
    log: 'demo',
    index: 40,
  },
  {
    name: 'entry put in behind the newest',
    work: `INSERT INTO entries SELECT segment, log, 651, received_at, digest, nonce, commitment, leaf_hash, payload FROM entries WHERE ${DEMO} AND index = 650`,
    code: 'entry-stray',
    log: 'demo',
    index: 651,
  },
  {
    name: 'entry put in a second time',
    work: `SELECT open_segment(2); INSERT INTO entries SELECT 2, log, index, received_at, digest, nonce, commitment, leaf_hash, payload FROM entries WHERE ${DEMO} AND index = 12`,
    code: 'entry-stray',
    log: 'demo',
    index: 12,
  },
  {
    name: 'newest entries cut off, nothing else',
    work: `DELETE FROM entries WHERE ${DEMO} AND index >= 640`,
    code: 'entry-missing',
    log: 'demo',
    index: 640,
  },
  {
    name: 'erased without record',
    work: `UPDATE entries SET payload = NULL, digest = NULL, nonce = NULL WHERE ${DEMO} AND index = 57`,
    code: 'erased-unrecorded',
    log: 'demo',
    index: 57,
  },
  {
    name: 'erased in part',
    work: `UPDATE entries SET payload = NULL, digest = NULL WHERE ${DEMO} AND index = 57`,
    code: 'erased-in-part',
    log: 'demo',
    index: 57,
  },
  {
    name: 'what was erased put back',
    work: `UPDATE entries SET digest = sha256('x'), nonce = '' WHERE ${PLAIN} AND index = 3`,
    code: 'erased-still-there',
    log: 'plain',
    index: 3,
  },
  {
    name: 'stretch moved to another segment',
    work: `SELECT open_segment(2); UPDATE stretches SET segment = 2 WHERE ${DEMO} AND first_index = 256`,
    code: 'stretch-differs',
    log: 'demo',
    index: 256,
  },
  {
    name: 'stretch deleted',
    work: `DELETE FROM stretches WHERE ${DEMO} AND first_index = 128`,
    code: 'stretch-differs',
    log: 'demo',
    index: 128,
  },
];

/** Sets the head of demo back to a size at which it signed a checkpoint. */
export const HEAD = (size: number): string => `
  UPDATE logs l SET size = ${size}, root = c.root, last_leaf = e.leaf_hash, last_received_at = e.received_at
  FROM checkpoints c, entries e
  WHERE l.name = 'demo' AND c.log = l.id AND c.size = ${size} AND e.log = l.id AND e.index = ${size - 1}`;

export const CUTS: Attack[] = [
  {
    name: 'newest entries cut off, head set back',
    work: `DELETE FROM entries WHERE ${DEMO} AND index >= 600; ${HEAD(600)}`,
    code: 'log-cut-off',
    log: 'demo',
    index: 600,
  },
  {
    name: 'the same, with checkpoints and leaves',
    work: `DELETE FROM entries WHERE ${DEMO} AND index >= 600; ${HEAD(600)}; DELETE FROM checkpoints WHERE ${DEMO} AND size > 600; DELETE FROM round_leaves WHERE ${DEMO} AND size > 600; UPDATE round_heads SET size = 600 WHERE ${DEMO}`,
    code: 'round-broken',
    log: null,
    index: null,
    round: 3,
  },
  {
    name: 'the same, with the whole round and its anchor',
    work: `DELETE FROM entries WHERE ${DEMO} AND index >= 600; ${HEAD(600)}; DELETE FROM checkpoints WHERE ${DEMO} AND size > 600; DELETE FROM anchors WHERE round = 3; DELETE FROM round_leaves WHERE round = 3; DELETE FROM rounds WHERE number = 3; UPDATE round_heads h SET size = (SELECT max(size) FROM round_leaves l WHERE l.log = h.log)`,
    code: 'round-cut-off',
    log: null,
    index: null,
    round: 3,
  },
];
