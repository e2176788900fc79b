const encoder = new TextEncoder();
/** The hex digits of each byte. */
const HIGH = new Uint8Array(256);
const LOW = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
  const digits = byte.toString(16).padStart(2, '0');
  HIGH[byte] = digits.charCodeAt(0);
  LOW[byte] = digits.charCodeAt(1);
}
/** Bytes that are copied one by one: a view of them would cost more. */
const FEW_BYTES = 128;
/** Bytes of UTF-8 that one code unit of a string takes at most. */
const MOST_UTF8 = 3;

/** Puts the bytes of a long text together, without strings that live as long as it. */
export class TextWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  /** @param capacity bytes that are expected */
  constructor(capacity: number) {
    this.#bytes = new Uint8Array(Math.max(1, capacity));
  }

  /** Bytes so far. */
  get length(): number {
    return this.#length;
  }

  /** As UTF-8. */
  text(text: string): void {
    this.#reserve(MOST_UTF8 * text.length);
    this.#length += encoder.encodeInto(text, this.#bytes.subarray(this.#length)).written;
  }

  /** The bytes [from, end). */
  bytes(bytes: Uint8Array, from = 0, end = bytes.length): void {
    this.#reserve(end - from);
    const out = this.#bytes;
    let at = this.#length;
    if (end - from > FEW_BYTES) {
      out.set(bytes.subarray(from, end), at);
      at += end - from;
    } else for (let i = from; i < end; i++) out[at++] = bytes[i] ?? 0;
    this.#length = at;
  }

  byte(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = byte;
  }

  /** As lower-case hex. */
  hex(bytes: Uint8Array): void {
    this.#reserve(2 * bytes.length);
    const out = this.#bytes;
    let at = this.#length;
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i] ?? 0;
      out[at++] = HIGH[byte] ?? 0;
      out[at++] = LOW[byte] ?? 0;
    }
    this.#length = at;
  }

  /** All that was written: a view of memory that the writer keeps using. */
  written(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(2 * needed);
    larger.set(this.written());
    this.#bytes = larger;
  }
}
