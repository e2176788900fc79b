// JSON read without losing anything, and written in one form. JSON.parse rounds numbers that a double cannot hold and keeps
// one of two members with the same name, so two different texts could have one digest.

import { excerpt } from '../core/bytes.ts';
import { checkItemSize, ItemFault, type SetAsideReason } from './item-fault.ts';

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

/** No known sender nests deeper; the parser recurses once a level. */
const MAX_DEPTH = 128;
/** Each takes some hundred bytes of memory. */
const MAX_VALUES = 1_000_000;

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?/y;

/**
 * Reads JSON in UTF-8.
 * @throws ItemFault `not-json`, `not-utf8`, `member-twice`, `too-deep`, `too-many-values`, `too-large`
 */
export function readJson(bytes: Uint8Array): Json {
  checkItemSize(bytes);
  return new Reader(decodeUtf8(bytes)).document();
}

/** @throws ItemFault `not-utf8` */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new ItemFault('not-utf8', 'bytes that are not UTF-8');
  }
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
    if (this.#at < this.#text.length) throw this.#fault('more text after the JSON');
    return value;
  }

  #value(depth: number): Json {
    if (depth > MAX_DEPTH) throw this.#fault(`nested deeper than ${MAX_DEPTH}`, 'too-deep');
    if (++this.#values > MAX_VALUES) throw this.#fault(`more than ${MAX_VALUES} values`, 'too-many-values');
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
        if (!this.#takes(':')) throw this.#fault('no colon after a name');
        const last = members.at(-1);
        if (last !== undefined && last[0] >= name) sorted = false;
        members.push([name, this.#value(depth + 1)]);
      } while (this.#takes(','));
      if (!this.#takes('}')) throw this.#fault('an object that does not end');
    }
    if (!sorted) {
      members.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
      for (const [i, [name]] of members.entries()) {
        if (members[i + 1]?.[0] === name) throw this.#fault(`two members named ${excerpt(name)}`, 'member-twice');
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
      throw this.#fault('a string with an unknown escape');
    }
  }

  /** Moves past this character, and white space before it, where it comes next. */
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

  #fault(what: string, reason: SetAsideReason = 'not-json'): ItemFault {
    return new ItemFault(reason, `${what}, at character ${this.#at}`);
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

/** Into one list: joining level by level would copy each text once for every level. */
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

/**
 * Sign, digits without zeros at either end, and power of ten: equal for equal numbers. Null for text that is no number, or
 * whose exponent is out of bounds.
 */
export function decimal(text: string): string | null {
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

/** The same form of plain objects, arrays, strings, booleans and numbers; undefined members are left out. */
export function canonicalOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalOf).join(',')}]`;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  // JSON.stringify would write names that look like numbers first.
  members.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalOf(member)}`).join(',')}}`;
}
