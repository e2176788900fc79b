// Adds the signatures of new keys to checkpoints that were signed before.

import { createPublicKey, verify } from 'node:crypto';
import { equalBytes, utf8 } from '../core/bytes.ts';
import { formatCheckpoint } from '../core/checkpoint.ts';
import { AntequemError, parsed } from '../core/errors.ts';
import {
  ed25519Spki,
  formatNote,
  joinNotes,
  type Note,
  type NoteSignature,
  noteKeyId,
  parseNote,
} from '../core/note.ts';
import type { Queryable } from '../store/database.ts';
import type { Guard } from './guard.ts';
import type { Log } from './log.ts';
import type { LogSigner } from './seed.ts';

/**
 * Adds the missing signatures of these keys to the newest checkpoint of their logs: a log that does not grow would otherwise
 * have signatures of its old keys only. A checkpoint is signed only if one of the log's own keys signed it before, so that
 * nobody gets a signature by writing into the database.
 * @param own the keys that sign for each log now
 * @throws AntequemError `checkpoint-damaged`, and what the guard throws
 */
export async function endorse(
  db: Queryable,
  guard: Guard,
  own: ReadonlyMap<number, readonly LogSigner[]>,
  logs: readonly { readonly log: Log; readonly signers: readonly LogSigner[] }[],
): Promise<void> {
  const { rows } = await db.query<{ n: number; size: number; root: Uint8Array; note: string }>(
    `SELECT q.n::int, c.size, c.root, c.note FROM unnest($1::int[]) WITH ORDINALITY AS q (log, n)
     CROSS JOIN LATERAL (SELECT size, root, note FROM checkpoints WHERE log = q.log ORDER BY size DESC LIMIT 1) AS c`,
    [logs.map(({ log }) => log.id)],
  );
  const lacking = rows.flatMap(({ n, size, root, note }) => {
    const wanted = logs[n - 1];
    if (wanted === undefined) return [];
    const { log } = wanted;
    const head = { size, root: new Uint8Array(root) };
    const checkpoint = { origin: log.origin, ...head };
    const read = parsed(() => parseNote(note));
    if (read?.text !== formatCheckpoint(checkpoint) || !(own.get(log.id) ?? []).some((key) => isSignedBy(read, key))) {
      throw new AntequemError(
        'checkpoint-damaged',
        `the newest checkpoint of ${log.name}, at size ${size}, is not one that its keys signed: run an audit`,
      );
    }
    const signers = wanted.signers.filter(({ verifiers }) =>
      verifiers.some(({ keyId }) => lineOf(read, log.origin, keyId) === undefined),
    );
    return signers.length === 0 ? [] : [{ log, head, checkpoint, note, read, signers }];
  });
  if (lacking.length === 0) return;
  await guard.release(db, lacking);
  const notes: string[] = [];
  for (const { log, checkpoint, note, read, signers } of lacking) {
    const lines: string[] = [];
    for (const signer of signers) {
      const { text, signatures } = parseNote(await signer.sign(checkpoint));
      const added = signatures.filter(({ keyId }) => lineOf(read, log.origin, keyId) === undefined);
      lines.push(formatNote({ text, signatures: added }));
    }
    notes.push(joinNotes([note, ...lines]));
  }
  await db.query(
    `UPDATE checkpoints c SET note = s.note FROM unnest($1::int[], $2::bigint[], $3::text[]) AS s (log, size, note)
     WHERE c.log = s.log AND c.size = s.size`,
    [lacking.map(({ log }) => log.id), lacking.map(({ head }) => head.size), notes],
  );
}

function lineOf({ signatures }: Note, origin: string, keyId: Uint8Array): NoteSignature | undefined {
  return signatures.find((each) => each.name === origin && equalBytes(each.keyId, keyId));
}

/** Whether the Ed25519 key signed it. */
function isSignedBy(note: Note, { origin, publicKey }: LogSigner): boolean {
  const line = lineOf(note, origin, noteKeyId(origin, publicKey));
  if (line === undefined) return false;
  const key = createPublicKey({ key: Buffer.from(ed25519Spki(publicKey)), format: 'der', type: 'spki' });
  return verify(null, utf8(note.text), key, line.signature);
}
