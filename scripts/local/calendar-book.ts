import { appendFileSync, closeSync, fsyncSync, openSync, readFileSync, truncateSync } from 'node:fs';
import { z } from 'zod';
import { sha256 } from '#sha256';
import { concat, fromHex, toHex } from '../../src/core/bytes.ts';

const Line = z.union([
  z.strictObject({ commitment: z.string().regex(/^([0-9a-f]{2})+$/) }),
  z.strictObject({ stamped: z.int().positive(), transaction: z.string() }),
  z.strictObject({ batch: z.int().nonnegative(), transaction: z.string() }),
]);

/** Commitments that went into the chain together. */
export interface Batch {
  /** The tree from its leaves, their hashes, to its one root. */
  readonly layers: readonly (readonly Uint8Array[])[];
  /** The transaction that bears the root; another one after what it spends was gone. */
  transaction: Uint8Array;
}

/** What a calendar has promised and done, in a file that only grows; without a file, in memory. */
export class CalendarBook {
  readonly #file: number | null;
  readonly #places = new Map<string, { readonly batch: number; readonly index: number }>();
  #waiting: string[] = [];
  readonly batches: Batch[] = [];

  constructor(path: string | null) {
    const lines = path === null ? [] : readLines(path);
    this.#file = path === null ? null : openSync(path, 'a', 0o600);
    for (const line of lines) {
      if ('commitment' in line) this.#waiting.push(line.commitment);
      else if ('stamped' in line) this.#stamped(line.stamped, fromHex(line.transaction));
      else this.#replaced(line.batch, fromHex(line.transaction));
    }
  }

  /** It is durable when this returns. */
  take(commitment: Uint8Array): void {
    this.#write({ commitment: toHex(commitment) });
    this.#waiting.push(toHex(commitment));
  }

  /** What is not in the chain: the root of a tree of it, and of how many; null where there is none. */
  pending(): { readonly root: Uint8Array; readonly count: number } | null {
    const root = treeOf(this.#waiting).at(-1)?.[0];
    return root === undefined ? null : { root, count: this.#waiting.length };
  }

  /** Notes the transaction for those that `pending` told of. */
  stamp(count: number, transaction: Uint8Array): void {
    this.#write({ stamped: count, transaction: toHex(transaction) });
    this.#stamped(count, transaction);
  }

  /** Notes another transaction for a batch. */
  replace(batch: number, transaction: Uint8Array): void {
    this.#write({ batch, transaction: toHex(transaction) });
    this.#replaced(batch, transaction);
  }

  /** `unknown`, `waiting` for a transaction, or where it is. */
  find(commitment: Uint8Array): 'unknown' | 'waiting' | { readonly batch: Batch; readonly index: number } {
    const place = this.#places.get(toHex(commitment));
    const batch = place === undefined ? undefined : this.batches[place.batch];
    if (place !== undefined && batch !== undefined) return { batch, index: place.index };
    return this.#waiting.includes(toHex(commitment)) ? 'waiting' : 'unknown';
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
  }

  #stamped(count: number, transaction: Uint8Array): void {
    const members = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    for (const [index, member] of members.entries()) this.#places.set(member, { batch: this.batches.length, index });
    this.batches.push({ layers: treeOf(members), transaction });
  }

  #replaced(batch: number, transaction: Uint8Array): void {
    const known = this.batches[batch];
    if (known !== undefined) known.transaction = transaction;
  }

  #write(line: z.input<typeof Line>): void {
    if (this.#file === null) return;
    appendFileSync(this.#file, `${JSON.stringify(line)}\n`);
    fsyncSync(this.#file);
  }
}

/** All lines; the last one, if a kill cut it short, is removed, since nobody was told of it. */
function readLines(path: string): z.output<typeof Line>[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return [];
  }
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  if (whole.length < text.length) truncateSync(path, Buffer.byteLength(whole));
  return whole
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => Line.parse(JSON.parse(line)));
}

/** Layers from the hashes of commitments to the root; one without a neighbour is hashed alone. */
function treeOf(commitments: readonly string[]): Uint8Array[][] {
  const layers: Uint8Array[][] = [commitments.map((commitment) => sha256(fromHex(commitment)))];
  for (let layer = layers[0] ?? []; layer.length > 1; layer = layers.at(-1) ?? []) {
    const above: Uint8Array[] = [];
    for (let i = 0; i < layer.length; i += 2) {
      above.push(sha256(concat(...layer.slice(i, i + 2))));
    }
    layers.push(above);
  }
  return layers;
}
