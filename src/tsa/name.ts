// Distinguished names (RFC 5280 section 4.1.2.4) as people read them: close to RFC 4514, the first part first.

import { type Asn1, asn1Fault, Fields, itemsOf, oidText, TAG } from './asn1.ts';

const ATTRIBUTES: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.4': 'SN',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'street',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '2.5.4.97': 'organizationIdentifier',
  '0.9.2342.19200300.100.1.25': 'DC',
  '1.2.840.113549.1.9.1': 'emailAddress',
};

const BMP_STRING = 0x1e;
const UNIVERSAL_STRING = 0x1c;

/** Characters that a name is cut to. */
export const MAX_NAME_LENGTH = 500;

/** Such as `CN=Timestamping, O=Example, C=DE`. @throws FormatError `token-invalid` */
export function nameText(name: Asn1): string {
  const parts = itemsOf(name, 'a name').flatMap((set) =>
    itemsOf(set, 'a part of a name', TAG.set).map((pair) => {
      const fields = new Fields(pair, 'a part of a name');
      const type = oidText(fields.take(TAG.oid), 'a part of a name');
      return `${ATTRIBUTES[type] ?? type}=${escaped(valueText(fields.any()))}`;
    }),
  );
  return parts.join(', ').slice(0, MAX_NAME_LENGTH);
}

function valueText({ tag, parts, content }: Asn1): string {
  if (parts !== null) throw asn1Fault('a part of a name has another form');
  if (tag === BMP_STRING) return wideText(content, 2);
  if (tag === UNIVERSAL_STRING) return wideText(content, 4);
  return new TextDecoder().decode(new Uint8Array(content));
}

function wideText(content: Uint8Array, width: number): string {
  let text = '';
  for (let i = 0; i + width <= content.length; i += width) {
    const code = content.subarray(i, i + width).reduce((sum, byte) => sum * 256 + byte, 0);
    text += code > 0x10_ffff ? '\ufffd' : String.fromCodePoint(code);
  }
  return text;
}

/** A backslash before what parts names, and no control characters. */
function escaped(text: string): string {
  return text.replaceAll(/[\\,+="<>;]/g, '\\$&').replaceAll(/\p{C}/gu, '\ufffd');
}
