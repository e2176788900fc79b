import { equalBytes } from '../core/bytes.ts';
import { type WitnessKey, witnessKeyId } from '../core/cosignature.ts';
import { formatSignature, type NoteSignature } from '../core/note.ts';
import type { Log } from '../log/log.ts';
import type { Published } from '../log/publish.ts';
import { LOG_COLUMNS, type LogRow, logOf } from '../log/registry.ts';
import type { Queryable } from '../store/database.ts';

/** A signature line and the witness that made it. */
export interface StoredCosignature {
  /** The id of its key, 32 bytes. */
  readonly witness: Uint8Array;
  readonly line: NoteSignature;
}

/** A checkpoint with its cosignatures. */
export interface Cosigned extends Published {
  readonly cosignatures: readonly StoredCosignature[];
}

interface CosignatureRow {
  witness: Uint8Array;
  name: string;
  signature: Uint8Array;
}

/** The stored cosignatures of checkpoints. */
export class Cosignatures {
  readonly #database: Queryable;

  constructor(database: Queryable) {
    this.#database = database;
  }

  /** Stores a verified cosignature. A second one for the same checkpoint and witness is ignored. */
  async add(log: Log, size: number, { witness, line }: StoredCosignature, now: number): Promise<void> {
    await this.#database.query(
      `INSERT INTO cosignatures (log, size, witness, name, signature, stored_at) VALUES ($1, $2, $3, $4, $5, $6)
       ON CONFLICT DO NOTHING`,
      [log.id, size, Buffer.from(witness), line.name, Buffer.from(line.signature), now],
    );
  }

  /** The checkpoint with its cosignatures, in the order of the keys. */
  async of(log: Log, checkpoint: Published, keys: readonly WitnessKey[]): Promise<Cosigned> {
    const { rows } = await this.#database.query<CosignatureRow>({
      name: 'read-cosignatures',
      text: 'SELECT witness, name, signature FROM cosignatures WHERE log = $1 AND size = $2',
      values: [log.id, checkpoint.size],
    });
    return cosigned(checkpoint, rows, keys);
  }

  /** The newest checkpoints with cosignatures that cover this many entries, newest first, at most `limit`. */
  async newest(log: Log, least: number, limit: number, keys: readonly WitnessKey[]): Promise<Cosigned[]> {
    const { rows } = await this.#database.query<CosignatureRow & { size: number; root: Uint8Array; note: string }>(
      `SELECT size, c.root, c.note, s.witness, s.name, s.signature
       FROM (SELECT DISTINCT size FROM cosignatures WHERE log = $1 AND size >= $2 ORDER BY size DESC LIMIT $3) AS sizes
       JOIN checkpoints c USING (size) JOIN cosignatures s USING (log, size)
       WHERE log = $1 ORDER BY size DESC`,
      [log.id, least, limit],
    );
    const bySize = Map.groupBy(rows, ({ size }) => size);
    return [...bySize].flatMap(([size, of]) => {
      const [first] = of;
      if (first === undefined) return [];
      return [cosigned({ origin: log.origin, size, root: new Uint8Array(first.root), note: first.note }, of, keys)];
    });
  }

  /** Logs whose newest checkpoint was signed before a time and lacks some of these witnesses, with the ones it has. */
  async lacking(keys: readonly WitnessKey[], before: number): Promise<{ log: Log; witnesses: Uint8Array[] }[]> {
    const { rows } = await this.#database.query<LogRow & { witnesses: Uint8Array[] }>(
      `SELECT ${LOG_COLUMNS}, s.witnesses FROM logs l
       CROSS JOIN LATERAL (SELECT size, signed_at FROM checkpoints WHERE log = l.id ORDER BY size DESC LIMIT 1) c
       CROSS JOIN LATERAL (SELECT coalesce(array_agg(witness), '{}') AS witnesses FROM cosignatures
                           WHERE log = l.id AND size = c.size AND witness = ANY ($1)) s
       WHERE c.signed_at <= $2 AND cardinality(s.witnesses) < $3`,
      [keys.map(({ id }) => Buffer.from(id)), before, keys.length],
    );
    return rows.map((row) => ({
      log: logOf(row),
      witnesses: row.witnesses.map((witness) => new Uint8Array(witness)),
    }));
  }

  /** The largest size of a log that a witness is known to have cosigned. */
  async reach(log: Log, witness: WitnessKey): Promise<number> {
    const { rows } = await this.#database.query<{ size: number }>({
      name: 'cosigned-size',
      text: 'SELECT size FROM cosignatures WHERE log = $1 AND witness = $2 ORDER BY size DESC LIMIT 1',
      values: [log.id, Buffer.from(witness.id)],
    });
    return rows[0]?.size ?? 0;
  }
}

function cosigned(checkpoint: Published, rows: readonly CosignatureRow[], keys: readonly WitnessKey[]): Cosigned {
  const cosignatures = keys.flatMap((key) => {
    const row = rows.find(({ witness }) => equalBytes(new Uint8Array(witness), key.id));
    if (row === undefined) return [];
    const keyId = witnessKeyId(row.name, key);
    return [{ witness: key.id, line: { name: row.name, keyId, signature: new Uint8Array(row.signature) } }];
  });
  const note = `${checkpoint.note}${cosignatures.map(({ line }) => formatSignature(line)).join('')}`;
  return { ...checkpoint, note, cosignatures };
}
