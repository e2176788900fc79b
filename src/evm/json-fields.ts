// Members of what nodes tell in JSON, as the RLP that the chain hashed. Nothing is trusted: a hash decides in the end.

import { fromHex } from '../core/bytes.ts';
import type { Rlp } from '../core/rlp.ts';

/** Turns a member into RLP; null where it is not of this form. */
export type Form = (value: unknown) => Rlp | null;

/** The names under which nodes tell a member (with a dot: a member of a member), and its form. */
export type Field = readonly [names: string | readonly string[], form: Form];

const NOTHING: Rlp = new Uint8Array(0);

/** Bytes as 0x-hex. */
export const data: Form = (value) =>
  typeof value === 'string' && /^0x(?:[0-9a-fA-F]{2})*$/.test(value) ? fromHex(value.slice(2).toLowerCase()) : null;

/** A whole number below 2^256, big-endian without leading zeros. */
export const quantity: Form = (value) => {
  if (typeof value === 'boolean') return quantity(value ? 1 : 0);
  if (typeof value === 'number')
    return Number.isSafeInteger(value) && value >= 0 ? quantity(`0x${value.toString(16)}`) : null;
  if (typeof value !== 'string' || !/^0x[0-9a-fA-F]{1,64}$/.test(value)) return null;
  const digits = value.slice(2).toLowerCase().replace(/^0+/, '');
  return fromHex(digits.length % 2 === 0 ? digits : `0${digits}`);
};

/** A member that may be missing: an empty string then, or what else stands for it. */
export const optional =
  (form: Form, missing: Rlp = NOTHING): Form =>
  (value) =>
    value === undefined || value === null ? missing : form(value);

export const manyOf =
  (form: Form): Form =>
  (value) => {
    if (!Array.isArray(value)) return null;
    const items = value.flatMap((item) => {
      const rlp = form(item);
      return rlp === null ? [] : [rlp];
    });
    return items.length === value.length ? items : null;
  };

/** The fields of an object as a list. */
export const record =
  (fields: readonly Field[]): Form =>
  (value) =>
    encodeFields(value, fields);

/** All fields in their order; null where one of them is missing or of another form. */
export function encodeFields(json: unknown, fields: readonly Field[]): Rlp[] | null {
  const items: Rlp[] = [];
  for (const [names, form] of fields) {
    const item = form(memberOf(json, names));
    if (item === null) return null;
    items.push(item);
  }
  return items;
}

/** The first of the members that is there; undefined where none is. */
export function memberOf(json: unknown, names: string | readonly string[]): unknown {
  for (const name of typeof names === 'string' ? [names] : names) {
    let value: unknown = json;
    for (const part of name.split('.')) value = isObject(value) ? value[part] : undefined;
    if (value !== undefined && value !== null) return value;
  }
  return undefined;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
