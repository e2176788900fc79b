// What an audit remembers, in a file. Kept apart from the service, so that it is a witness besides.

import { readFile } from 'node:fs/promises';
import * as z from 'zod/mini';
import { fromHex, toHex } from '../../core/bytes.ts';
import { writeDurably } from '../../core/durable-file.node.ts';
import { AntequemError, hasCode } from '../../core/errors.ts';
import { hashHex } from '../../core/hex.ts';
import { parseJson } from '../../core/json.ts';

const count = z.int().check(z.nonnegative());

/** 32 bytes, written as hex. */
export const storedHash = z.codec(
  hashHex,
  z.custom<Uint8Array>((value) => value instanceof Uint8Array),
  { decode: fromHex, encode: toHex },
);
/** A LogPosition. */
export const storedPosition = z.object({ size: count, root: storedHash, leaf: storedHash, receivedAt: count });

/** Milliseconds between two writings of a state; a large one is written more rarely. */
const SAVE_INTERVAL_MS = 500;
/** The part of the time that writing may take. */
const SAVE_SHARE = 20;

/**
 * Reads the file. @returns null where there is no such file
 * @throws AntequemError `audit-state-invalid` where it is not of this form
 */
export async function readAuditState<T extends z.ZodMiniType>(path: string, form: T): Promise<z.output<T> | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  }
  const read = form.safeParse(parseJson(text));
  if (read.success) return read.data;
  throw new AntequemError(
    'audit-state-invalid',
    `${path} is not the state of such an audit: name another file, or remove it to begin anew`,
  );
}

/** Writes the file, whole or not at all. */
export async function writeAuditState<T extends z.ZodMiniType>(
  path: string,
  form: T,
  state: z.output<T>,
): Promise<void> {
  await writeDurably(path, `${JSON.stringify(z.encode(form, state))}\n`, { mode: 0o600 });
}

/** Saves from time to time. */
export class Saver {
  readonly #save: () => Promise<void>;
  readonly #clock: () => number;
  #due: number;

  /** @param clock milliseconds, monotonic */
  constructor(save: () => Promise<void>, clock: () => number) {
    this.#save = save;
    this.#clock = clock;
    this.#due = clock() + SAVE_INTERVAL_MS;
  }

  /** Saves if it is time to; what is noted meanwhile waits for the next time. */
  async tick(): Promise<void> {
    if (this.#clock() >= this.#due) await this.save();
  }

  async save(): Promise<void> {
    const began = this.#clock();
    this.#due = Number.POSITIVE_INFINITY;
    await this.#save();
    this.#due = this.#clock() + Math.max(SAVE_INTERVAL_MS, SAVE_SHARE * (this.#clock() - began));
  }
}
