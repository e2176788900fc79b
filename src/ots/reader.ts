import { OtsError } from './error.ts';

/** Bytes from outside, taken from the front. Whatever cannot be taken is an OtsError that says at which byte. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  /** Where `bytes` begin in what the caller calls the input. */
  readonly #base: number;
  #next = 0;

  constructor(bytes: Uint8Array, base = 0) {
    this.#bytes = bytes;
    this.#base = base;
  }

  /** Of the next byte, in the input. */
  get offset(): number {
    return this.#base + this.#next;
  }

  /** @throws OtsError `ots-truncated` */
  byte(what: string): number {
    const value = this.#bytes[this.#next];
    if (value === undefined) throw this.#cut(1, what);
    this.#next++;
    return value;
  }

  /** A copy of the next `length` bytes. @throws OtsError `ots-truncated` */
  take(length: number, what: string): Uint8Array {
    const end = this.#next + length;
    if (end > this.#bytes.length) throw this.#cut(end - this.#bytes.length, what);
    const out = this.#bytes.slice(this.#next, end);
    this.#next = end;
    return out;
  }

  /**
   * LEB128 of a whole number below 2^53, in its one shortest form: a second spelling of the same number would let a
   * proof be altered unnoticed.
   * @throws OtsError `ots-truncated`, `ots-varuint`
   */
  varuint(what: string): number {
    const start = this.offset;
    let value = 0;
    for (let weight = 1; ; weight *= 128) {
      const byte = this.byte(what);
      value += (byte % 128) * weight;
      if (!Number.isSafeInteger(value) || weight > Number.MAX_SAFE_INTEGER) {
        throw new OtsError('ots-varuint', `${what} is a number of 2^53 or more`, start);
      }
      if (byte >= 128) continue;
      if (byte === 0 && weight > 1) {
        throw new OtsError('ots-varuint', `${what} is a number that is written longer than it need be`, start);
      }
      return value;
    }
  }

  /** A length and so many bytes. @throws OtsError `ots-truncated`, `ots-varuint`, `ots-length` */
  varbytes(min: number, max: number, what: string): Uint8Array {
    const start = this.offset;
    const length = this.varuint(`the length of ${what}`);
    if (length < min || length > max) {
      throw new OtsError('ots-length', `${what} has ${min} to ${max} bytes, not ${length}`, start);
    }
    return this.take(length, what);
  }

  /** @throws OtsError `ots-trailing` unless all bytes are taken */
  end(what: string): void {
    const left = this.#bytes.length - this.#next;
    if (left > 0) throw new OtsError('ots-trailing', `${left} bytes more than ${what} has`, this.offset);
  }

  #cut(missing: number, what: string): OtsError {
    const end = this.#base + this.#bytes.length;
    return new OtsError('ots-truncated', `the bytes end where ${what} has ${missing} more`, end);
  }
}
