// Finds the parts of a JSON text without reading them: where each item of a list begins and ends. What is wrong inside an
// item is left to the parser, so that one odd item does not take its batch down.

import { FormatError } from '../core/errors.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY] = [0x7b, 0x7d, 0x5b, 0x5d];

/** Of an object that is no item. */
const MAX_MEMBERS = 1_000;
/** `null` in ASCII. */
const NULL = [0x6e, 0x75, 0x6c, 0x6c];

/** A place in a JSON text. Methods move it forward; each byte is looked at once. */
export class JsonCursor {
  readonly bytes: Uint8Array;
  #at: number;

  /** A byte order mark at the beginning is skipped (RFC 8259 section 8.1). */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#at = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  }

  /** Whether the next value is an object. */
  get atObject(): boolean {
    return this.#next() === OPEN_OBJECT;
  }

  /** Whether the next value is an array. */
  get atArray(): boolean {
    return this.#next() === OPEN_ARRAY;
  }

  /**
   * Reads the object that comes next. `member` must move the cursor past the member's value.
   * @param member gets the name, and the offset where the name begins
   * @throws FormatError `json-invalid`
   */
  object(member: (name: string, begin: number) => void): void {
    this.#expect(OPEN_OBJECT, 'an object');
    if (this.#takes(CLOSE_OBJECT)) return;
    let members = 0;
    do {
      if (++members > MAX_MEMBERS) throw this.#fault(`an object of more than ${MAX_MEMBERS} members around the items`);
      this.#space();
      const begin = this.#at;
      const name = this.#name();
      this.#expect(COLON, 'a colon after the name of a member');
      member(name, begin);
    } while (this.#takes(COMMA));
    this.#expect(CLOSE_OBJECT, 'the end of an object');
  }

  /**
   * Reads the array that comes next. `element` must move the cursor past the element.
   * @throws FormatError `json-invalid`
   */
  array(element: (position: number) => void): void {
    this.#expect(OPEN_ARRAY, 'an array');
    if (this.#takes(CLOSE_ARRAY)) return;
    let position = 0;
    do element(position++);
    while (this.#takes(COMMA));
    this.#expect(CLOSE_ARRAY, 'the end of an array');
  }

  /**
   * Moves past one value and returns its bytes. Brackets need not match by kind and words need not be JSON: the value is
   * what stands before the comma or bracket that ends it.
   * @throws FormatError `json-invalid` where nothing stands there, or the text ends within the value
   */
  value(): Uint8Array {
    this.#space();
    const { bytes } = this;
    const begin = this.#at;
    let end = begin;
    for (let depth = 0; ; ) {
      const byte = bytes[this.#at];
      if (byte === undefined) {
        if (depth > 0) throw this.#fault('a value that does not end');
        break;
      }
      if (byte === QUOTE) {
        this.#string();
        end = this.#at;
        continue;
      }
      if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) depth++;
      else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
        if (depth === 0) break;
        depth--;
      } else if (byte === COMMA && depth === 0) break;
      this.#at++;
      if (!isSpace(byte)) end = this.#at;
    }
    if (end === begin) throw this.#fault('no value');
    return bytes.subarray(begin, end);
  }

  /** Moves past `null` where it comes next. */
  takesNull(): boolean {
    this.#space();
    const found = NULL.every((byte, i) => this.bytes[this.#at + i] === byte);
    if (found) this.#at += NULL.length;
    return found;
  }

  /** @throws FormatError `json-invalid` where more than white space follows */
  end(): void {
    if (this.#next() !== undefined) throw this.#fault('more text after the JSON');
  }

  /** The bytes from `begin` to here. */
  since(begin: number): Uint8Array {
    return this.bytes.subarray(begin, this.#at);
  }

  #next(): number | undefined {
    this.#space();
    return this.bytes[this.#at];
  }

  #takes(byte: number): boolean {
    if (this.#next() !== byte) return false;
    this.#at++;
    return true;
  }

  #expect(byte: number, what: string): void {
    if (!this.#takes(byte)) throw this.#fault(`no ${what.replace(/^an? /, '')}`);
  }

  #name(): string {
    const begin = this.#at;
    if (this.bytes[begin] !== QUOTE) throw this.#fault('no name of a member');
    this.#string();
    try {
      const text = new TextDecoder('utf-8', { fatal: true }).decode(this.bytes.subarray(begin, this.#at));
      return String(JSON.parse(text));
    } catch {
      throw this.#fault('a name that is no string of JSON');
    }
  }

  /** Moves past a string: to the first quote that an even number of backslashes precedes. */
  #string(): void {
    const { bytes } = this;
    for (let from = this.#at + 1; ; ) {
      const quote = bytes.indexOf(QUOTE, from);
      if (quote < 0) throw this.#fault('a string that does not end');
      let backslashes = 0;
      while (quote - backslashes > from && bytes[quote - backslashes - 1] === BACKSLASH) backslashes++;
      if (backslashes % 2 === 0) {
        this.#at = quote + 1;
        return;
      }
      from = quote + 1;
    }
  }

  #space(): void {
    while (isSpace(this.bytes[this.#at])) this.#at++;
  }

  #fault(what: string): FormatError {
    return new FormatError('json-invalid', `the body is not JSON: ${what}, at byte ${this.#at}`);
  }
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}
