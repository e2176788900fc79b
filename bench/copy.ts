import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';

const ROWS = 1_000;

/**
 * Bare COPY of a row for each entry, with an index on places and one on digests, so many rows a commit, one partition a
 * million: what the database alone can do with them on this machine. Returns rows a second for each million.
 */
export async function copyRates(url: string, total: number): Promise<number[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const rates: number[] = [];
  try {
    // A row for each entry, as releases before blocks had them.
    await client.query(`CREATE TABLE bare (segment int, log int, index bigint, received_at bigint, digest bytea, nonce bytea,
      commitment bytea, leaf_hash bytea, payload bytea) PARTITION BY LIST (segment)`);
    for (let segment = 1; (segment - 1) * 1_000_000 < total; segment++) {
      await client.query(`CREATE TABLE bare_${segment} PARTITION OF bare FOR VALUES IN (${segment})`);
      await client.query(`ALTER TABLE bare_${segment} ADD PRIMARY KEY (segment, log, index)`);
      await client.query(`CREATE INDEX ON bare_${segment} (digest) WHERE digest IS NOT NULL`);
      const rows = Math.min(1_000_000, total - (segment - 1) * 1_000_000);
      const start = performance.now();
      for (let done = 0; done < rows; done += ROWS) {
        const stream = client.query(copyFrom('COPY bare FROM STDIN (FORMAT binary)'));
        stream.end(binaryRows(segment, (segment - 1) * 1_000_000 + done, ROWS));
        await once(stream, 'finish');
      }
      rates.push(rows / ((performance.now() - start) / 1_000));
    }
    await client.query('DROP TABLE bare');
  } finally {
    await client.end();
  }
  return rates;
}

/** Rows in the format of COPY BINARY, random where ours are. */
function binaryRows(segment: number, first: number, rows: number): Buffer {
  const stride = 2 + 8 + 8 + 12 + 12 + 36 + 20 + 36 + 36 + 204;
  const header = 19;
  const out = Buffer.alloc(header + rows * stride + 2);
  out.write('PGCOPY\n\xff\r\n\0', 0, 'latin1');
  let at = header;
  const int4 = (value: number): void => {
    at = out.writeInt32BE(4, at);
    at = out.writeInt32BE(value, at);
  };
  const int8 = (value: number): void => {
    at = out.writeInt32BE(8, at);
    at = out.writeBigInt64BE(BigInt(value), at);
  };
  const random = randomBytes(rows * 312);
  let used = 0;
  const bytes = (length: number): void => {
    at = out.writeInt32BE(length, at);
    at += random.copy(out, at, used, used + length);
    used += length;
  };
  for (let i = 0; i < rows; i++) {
    at = out.writeInt16BE(9, at);
    int4(segment);
    int4(1);
    int8(first + i);
    int8(1_795_000_000_000);
    for (const length of [32, 16, 32, 32, 200]) bytes(length);
  }
  out.writeInt16BE(-1, at);
  return out;
}
