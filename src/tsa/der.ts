// Writing DER (X.690): each function returns the whole encoding of one value.

import { ObjectIdentifier } from 'asn1js';
import { compareBytes, concat, utf8 } from '../core/bytes.ts';

/** @param identifier the identifier octet */
export function der(identifier: number, ...parts: Uint8Array[]): Uint8Array {
  const content = concat(...parts);
  const length: number[] = [];
  for (let rest = content.length; rest > 0; rest = Math.floor(rest / 256)) length.unshift(rest % 256);
  const header = content.length < 128 ? [identifier, content.length] : [identifier, 0x80 | length.length, ...length];
  return concat(Uint8Array.from(header), content);
}

export const derSequence = (...parts: Uint8Array[]): Uint8Array => der(0x30, ...parts);
/** A SET OF: in the order that DER asks for. */
export const setOf = (...parts: Uint8Array[]): Uint8Array => der(0x31, ...parts.toSorted(compareBytes));
/** `[n]`, constructed. */
export const context = (n: number, ...parts: Uint8Array[]): Uint8Array => der(0xa0 | n, ...parts);
export const octetString = (bytes: Uint8Array): Uint8Array => der(0x04, bytes);
export const utf8String = (text: string): Uint8Array => der(0x0c, utf8(text));
export const boolean = (value: boolean): Uint8Array => der(0x01, Uint8Array.of(value ? 0xff : 0));
export const NULL: Uint8Array = der(0x05);

/** A number from 0 on, as its bytes without regard to a sign. */
export function integer(value: number | Uint8Array): Uint8Array {
  if (typeof value === 'number') return integer(fromNumber(value));
  const first = value.findIndex((byte) => byte !== 0);
  const digits = first === -1 ? Uint8Array.of(0) : value.subarray(first);
  return der(0x02, ...((digits[0] ?? 0) > 127 ? [Uint8Array.of(0)] : []), digits);
}

function fromNumber(value: number): Uint8Array {
  const digits: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
  return Uint8Array.from(digits);
}

/** @param text dotted */
export function oid(text: string): Uint8Array {
  return new Uint8Array(new ObjectIdentifier({ value: text }).toBER());
}

/** In UTC, with as many digits of the second as are not zero. @param ms milliseconds since the Unix epoch */
export function generalizedTimeOf(ms: number): Uint8Array {
  const [date = '', fraction = ''] = new Date(ms)
    .toISOString()
    .replaceAll(/[-:TZ]/g, '')
    .split('.');
  const digits = fraction.replace(/0+$/, '');
  return der(0x18, utf8(`${date}${digits === '' ? '' : `.${digits}`}Z`));
}
