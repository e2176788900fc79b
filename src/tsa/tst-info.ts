// TSTInfo (RFC 3161 section 2.4.2): what an authority signs.

import {
  type Asn1,
  asn1Fault,
  contextTag,
  Fields,
  integerBytes,
  itemsOf,
  octets,
  oidText,
  readAsn1,
  smallInteger,
  TAG,
} from './asn1.ts';
import { generalizedTime, type TokenTime } from './times.ts';

export interface TstInfo {
  readonly policy: string;
  readonly imprint: { readonly algorithm: string; readonly digest: Uint8Array };
  /** Content of the INTEGERs. */
  readonly serial: Uint8Array;
  readonly nonce: Uint8Array | null;
  readonly time: TokenTime;
  /** Milliseconds that the time may be off, rounded up; null: the authority does not say. */
  readonly accuracy: number | null;
}

/** @throws FormatError `token-invalid` */
export function parseTstInfo(der: Uint8Array): TstInfo {
  const fields = new Fields(readAsn1(der), 'TSTInfo');
  const version = smallInteger(fields.take(TAG.integer), 'the version');
  if (version !== 1) throw asn1Fault(`TSTInfo is of version ${version}, not 1`);
  const policy = oidText(fields.take(TAG.oid), 'the policy');
  const imprint = readImprint(fields.take(TAG.sequence));
  const serial = integerBytes(fields.take(TAG.integer), 'the serial number');
  const time = generalizedTime(fields.take(TAG.generalizedTime), 'genTime');
  const accuracy = fields.optional(TAG.sequence);
  fields.optional(TAG.boolean);
  const nonce = fields.optional(TAG.integer);
  fields.optional(contextTag(0));
  const extensions = fields.optional(contextTag(1));
  fields.end();
  if (extensions !== null) refuseCritical(extensions);
  return {
    policy,
    imprint,
    serial,
    nonce: nonce === null ? null : integerBytes(nonce, 'the nonce'),
    time,
    accuracy: accuracy === null ? null : milliseconds(accuracy),
  };
}

/** MessageImprint. @throws FormatError `token-invalid` */
export function readImprint(node: Asn1): TstInfo['imprint'] {
  const fields = new Fields(node, 'the message imprint');
  const algorithm = oidText(new Fields(fields.take(TAG.sequence), 'the hash').take(TAG.oid), 'the hash');
  const digest = octets(fields.take(TAG.octetString), 'the message imprint');
  fields.end();
  return { algorithm, digest };
}

/** Accuracy: seconds, milliseconds, microseconds. */
function milliseconds(node: Asn1): number {
  const fields = new Fields(node, 'the accuracy');
  const part = (tag: number): number => {
    const found = fields.optional(tag);
    return found === null ? 0 : smallInteger(found, 'the accuracy', tag);
  };
  const [seconds, millis, micros] = [part(TAG.integer), part(contextTag(0)), part(contextTag(1))];
  fields.end();
  return seconds * 1_000 + millis + Math.ceil(micros / 1_000);
}

/** None is known, and what is critical must be understood (RFC 5280 section 4.2). */
function refuseCritical(extensions: Asn1): void {
  for (const each of itemsOf(extensions, 'the extensions', contextTag(1))) {
    const fields = new Fields(each, 'an extension');
    const type = oidText(fields.take(TAG.oid), 'an extension');
    if ((fields.optional(TAG.boolean)?.content[0] ?? 0) !== 0) {
      throw asn1Fault(`TSTInfo has the critical extension ${type}, which is not known`);
    }
  }
}
