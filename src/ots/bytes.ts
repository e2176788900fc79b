import { OtsError } from './error.ts';

/** Reads bytes from outside, front to back. Errors name the byte at which they occur. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  /** The offset of `bytes` in the caller's input. */
  readonly #base: number;
  #next = 0;

  constructor(bytes: Uint8Array, base = 0) {
    this.#bytes = bytes;
    this.#base = base;
  }

  /** Offset of the next byte in the input. */
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
   * LEB128 of a whole number below 2^53, in its shortest form. Longer forms of the same number are refused: they would
   * allow changes to a proof that nobody notices.
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

  /** A length and that many bytes. @throws OtsError `ots-truncated`, `ots-varuint`, `ots-length` */
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

/** Writes bytes one after the other. */
export class ByteWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  byte(value: number): void {
    this.#room(1)[this.#length++] = value;
  }

  bytes(bytes: Uint8Array): void {
    this.#room(bytes.length).set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** LEB128 of a whole number below 2^53. */
  varuint(value: number): void {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.byte(128 + (rest % 128));
    this.byte(rest);
  }

  /** The number of bytes, then the bytes. */
  varbytes(bytes: Uint8Array): void {
    this.varuint(bytes.length);
    this.bytes(bytes);
  }

  /** A copy of what was written. */
  written(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #room(length: number): Uint8Array {
    if (this.#length + length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + length));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    return this.#bytes;
  }
}
