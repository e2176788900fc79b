// The secrets of sources: their form, and how they are stored, sealed.

import { FormatError } from '../core/errors.ts';
import type { Database, Queryable } from '../store/database.ts';
import type { SecretForm } from './scheme.ts';
import type { Sealing } from './sealing.ts';
import { parseSecret } from './standard-webhooks.ts';

/** Tokens are often JWTs. */
export const MAX_SECRET_CHARACTERS = 8_192;
const TOKEN = new RegExp(`^[\\x21-\\x7e]{1,${MAX_SECRET_CHARACTERS}}$`);
const TEXT_SECRET = /^[\x21-\x7e](?:[\x20-\x7e]{6,1022}[\x21-\x7e])$/;

/** What a sealed secret belongs to: it opens for nothing else. */
export function belongsTo(source: string, number: number): string {
  return `${source}\n${number}`;
}

export async function insertSecret(
  tx: Queryable,
  sealing: Sealing,
  { source, number, secret, now }: { source: string; number: number; secret: string; now: number },
): Promise<void> {
  const sealed = Buffer.from(sealing.seal(secret, belongsTo(source, number)));
  await tx.query('INSERT INTO source_secrets (source, number, sealed, created_at) VALUES ($1, $2, $3, $4)', [
    source,
    number,
    sealed,
    now,
  ]);
}

/** The secret that was given, or one that is made; null where there is none. @throws FormatError `source-invalid` */
export function secretFor(
  form: SecretForm | 'given',
  given: string | undefined,
  random: (length: number) => Uint8Array,
): string | null {
  if (form === 'none') {
    if (given === undefined) return null;
    throw new FormatError(
      'source-invalid',
      'with these settings the sender signs by a key of its own: there is no secret',
    );
  }
  if (form === 'whsec') {
    if (given === undefined) return `whsec_${Buffer.from(random(32)).toString('base64')}`;
    parseSecret(given);
    return given;
  }
  if (form === 'given') {
    if (given === undefined) {
      throw new FormatError('source-invalid', 'give the token that the API asks for as the secret');
    }
    if (TOKEN.test(given)) return given;
    throw new FormatError('source-invalid', `a token has 1 to ${MAX_SECRET_CHARACTERS} visible ASCII characters`);
  }
  if (given === undefined) return Buffer.from(random(32)).toString('base64url');
  if (TEXT_SECRET.test(given)) return given;
  throw new FormatError('source-invalid', 'a secret has 8 to 1,024 visible ASCII characters');
}

/** Seals anew, under the newest seed, what an older one sealed. @returns how many, and how many no seed opens */
export async function resealSecrets(
  database: Database,
  sealing: Sealing,
): Promise<{ readonly resealed: number; readonly lost: number }> {
  const { rows } = await database.query<{ source: string; number: number; sealed: Uint8Array }>(
    'SELECT source, number, sealed FROM source_secrets',
  );
  let [resealed, lost] = [0, 0];
  for (const { source, number, sealed } of rows) {
    const opened = sealing.open(sealed, belongsTo(source, number));
    if (opened === null) lost++;
    else if (!opened.newest) {
      const anew = Buffer.from(sealing.seal(opened.secret, belongsTo(source, number)));
      const { rowCount } = await database.query(
        'UPDATE source_secrets SET sealed = $4 WHERE source = $1 AND number = $2 AND sealed = $3',
        [source, number, Buffer.from(sealed), anew],
      );
      resealed += rowCount ?? 0;
    }
  }
  return { resealed, lost };
}
