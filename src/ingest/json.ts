// JSON read without losing anything, and written in one form. JSON.parse would round what a double cannot hold and keep
// one of two members of the same name: two texts that say different things would then have one digest.

import { excerpt } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';

/** An object's members, sorted by name as RFC 8785 sorts them: by UTF-16 code units. */
export class JsonObject {
  readonly members: readonly (readonly [string, Json])[];

  constructor(members: readonly (readonly [string, Json])[]) {
    this.members = members;
  }

  /** Undefined where there is no such member. */
  get(name: string): Json | undefined {
    return this.members.find(([other]) => other === name)?.[1];
  }
}

/** A number as it was written. */
export class JsonNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Json = null | boolean | string | JsonNumber | readonly Json[] | JsonObject;

/** Deeper than anything that logs; the parser calls itself once a level. */
const MAX_DEPTH = 128;
/** What a body can cost beside its bytes: some hundred bytes of memory each. */
const MAX_VALUES = 1_000_000;

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?/y;

/** Reads JSON in UTF-8. @throws FormatError `json-invalid`, also for two members of the same name */
export function readJson(bytes: Uint8Array): Json {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new FormatError('json-invalid', 'the JSON is not UTF-8');
  }
  return new Reader(text).document();
}

class Reader {
  readonly #text: string;
  #at = 0;
  #values = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): Json {
    const value = this.#value(0);
    this.#space();
    if (this.#at < this.#text.length) throw this.#fault('something follows the JSON');
    return value;
  }

  #value(depth: number): Json {
    if (depth > MAX_DEPTH) throw this.#fault(`nested deeper than ${MAX_DEPTH}`);
    if (++this.#values > MAX_VALUES) throw this.#fault(`more than ${MAX_VALUES} values`);
    this.#space();
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(depth);
      case '[':
        return this.#array(depth);
      case '"':
        return this.#string();
      case 't':
        return this.#word('true', true);
      case 'f':
        return this.#word('false', false);
      case 'n':
        return this.#word('null', null);
    }
    NUMBER.lastIndex = this.#at;
    const [number] = NUMBER.exec(this.#text) ?? [];
    if (number === undefined) throw this.#fault('no value');
    this.#at += number.length;
    return new JsonNumber(number);
  }

  #word(word: string, value: boolean | null): boolean | null {
    if (!this.#text.startsWith(word, this.#at)) throw this.#fault('no value');
    this.#at += word.length;
    return value;
  }

  #object(depth: number): JsonObject {
    const members: [string, Json][] = [];
    let sorted = true;
    this.#at++;
    if (!this.#takes('}')) {
      do {
        this.#space();
        if (this.#text[this.#at] !== '"') throw this.#fault('no name of a member');
        const name = this.#string();
        if (!this.#takes(':')) throw this.#fault('no colon behind a name');
        const last = members.at(-1);
        if (last !== undefined && last[0] >= name) sorted = false;
        members.push([name, this.#value(depth + 1)]);
      } while (this.#takes(','));
      if (!this.#takes('}')) throw this.#fault('an object that does not end');
    }
    if (!sorted) {
      members.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
      for (const [i, [name]] of members.entries()) {
        if (members[i + 1]?.[0] === name) throw this.#fault(`two members named ${excerpt(name)}`);
      }
    }
    return new JsonObject(members);
  }

  #array(depth: number): Json[] {
    const values: Json[] = [];
    this.#at++;
    if (this.#takes(']')) return values;
    do values.push(this.#value(depth + 1));
    while (this.#takes(','));
    if (!this.#takes(']')) throw this.#fault('an array that does not end');
    return values;
  }

  #string(): string {
    const begin = this.#at;
    for (let at = begin + 1; ; at++) {
      const unit = this.#text.charCodeAt(at);
      if (unit === 0x22) {
        this.#at = at + 1;
        return this.#text.slice(begin + 1, at);
      }
      if (unit === 0x5c) return this.#escapedString(begin, at);
      if (!(unit >= 0x20)) throw this.#fault('a string that does not end');
    }
  }

  #escapedString(begin: number, backslash: number): string {
    for (let at = backslash; ; at++) {
      const unit = this.#text.charCodeAt(at);
      if (unit === 0x5c) at++;
      else if (unit === 0x22) {
        this.#at = at + 1;
        break;
      } else if (!(unit >= 0x20)) throw this.#fault('a string that does not end');
    }
    try {
      return String(JSON.parse(this.#text.slice(begin, this.#at)));
    } catch {
      throw this.#fault('a string with an escape there is not');
    }
  }

  /** Whether this character comes next, white space aside; then it is behind us. */
  #takes(character: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #space(): void {
    for (;;) {
      const unit = this.#text.charCodeAt(this.#at);
      if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) return;
      this.#at++;
    }
  }

  #fault(what: string): FormatError {
    return new FormatError('json-invalid', `the body is not JSON that can be logged: ${what}, at ${this.#at}`);
  }
}

/**
 * The JSON in the form of RFC 8785: no white space, members sorted, strings and numbers as JavaScript writes them. But a
 * number that a double does not hold exactly, such as 9007199254740993, stays as it was written.
 */
export function canonicalJson(value: Json): string {
  const parts: string[] = [];
  writeJson(value, parts);
  return parts.join('');
}

/** Into one list: texts put together level by level would be copied once for each level they stand in. */
function writeJson(value: Json, parts: string[]): void {
  if (typeof value === 'string') parts.push(JSON.stringify(value));
  else if (value === null || typeof value === 'boolean') parts.push(String(value));
  else if (value instanceof JsonNumber) parts.push(canonicalNumber(value.text));
  else if (value instanceof JsonObject) {
    for (const [i, [name, member]] of value.members.entries()) {
      parts.push(i === 0 ? '{' : ',', JSON.stringify(name), ':');
      writeJson(member, parts);
    }
    parts.push(value.members.length === 0 ? '{}' : '}');
  } else {
    for (const [i, element] of value.entries()) {
      parts.push(i === 0 ? '[' : ',');
      writeJson(element, parts);
    }
    parts.push(value.length === 0 ? '[]' : ']');
  }
}

function canonicalNumber(text: string): string {
  const short = String(Number(text));
  if (short === text) return text;
  const written = decimal(text);
  return written !== null && written === decimal(short) ? short.replace(/^-0$/, '0') : text;
}

/** Sign, digits without zeros at the ends, and power of ten: the same for the same number. Null where none can be told. */
function decimal(text: string): string | null {
  const [, sign, whole = '', fraction = '', power = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(text) ?? [];
  const exponent = Number(power) - fraction.length;
  if (sign === undefined || !Number.isSafeInteger(exponent)) return null;
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  if (digits === '') return '0';
  // Not /0+$/, which looks through every run of zeros once for each zero in it.
  let end = digits.length;
  while (digits.charCodeAt(end - 1) === 0x30) end--;
  return `${sign}${digits.slice(0, end)}e${exponent + digits.length - end}`;
}

/** The same form of what is made here: plain objects, arrays, strings, booleans and numbers; undefined members left out. */
export function canonicalOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalOf).join(',')}]`;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  // Not left to JSON.stringify: an object has names that look like numbers before all others.
  members.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalOf(member)}`).join(',')}}`;
}
