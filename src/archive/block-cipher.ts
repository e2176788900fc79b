// The bytes of a block in the archive: version 1 ‖ initialization vector 12 ‖ AES-256-GCM of the content ‖ tag 16.

import { createCipheriv, createDecipheriv } from 'node:crypto';
import { AntequemError } from '../core/errors.ts';
import { MAX_CONTENT_BYTES } from '../log/blocks/block.ts';

const VERSION = 0x01;
const IV_AT = 1;
const IV_BYTES = 12;
const CONTENT_AT = IV_AT + IV_BYTES;
const TAG_BYTES = 16;
/** No object has more. */
export const MAX_OBJECT_BYTES = CONTENT_AT + MAX_CONTENT_BYTES + TAG_BYTES;

/** Which block it is; an object that stands in for another one is not opened. */
interface BlockPlace {
  readonly log: number;
  readonly first: number;
  readonly count: number;
}

/** @param iv 12 bytes; a key encrypts one object alone */
export function sealBlock(place: BlockPlace, content: Uint8Array, key: Uint8Array, iv: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  cipher.setAAD(contextOf(place));
  const sealed = cipher.update(content);
  return Buffer.concat([Buffer.from([VERSION]), iv, sealed, cipher.final(), cipher.getAuthTag()]);
}

/** @throws AntequemError `archive-damaged` */
export function openBlock(place: BlockPlace, object: Uint8Array, key: Uint8Array): Uint8Array {
  const sealedEnd = object.length - TAG_BYTES;
  if (object[0] === VERSION && sealedEnd >= CONTENT_AT) {
    const decipher = createDecipheriv('aes-256-gcm', key, object.subarray(IV_AT, CONTENT_AT));
    decipher.setAAD(contextOf(place));
    decipher.setAuthTag(object.subarray(sealedEnd));
    try {
      const content = decipher.update(object.subarray(CONTENT_AT, sealedEnd));
      decipher.final();
      return content;
    } catch {
      // The error says nothing more.
    }
  }
  throw new AntequemError('archive-damaged', `the archived block at entry ${place.first} is not the one it should be`);
}

function contextOf({ log, first, count }: BlockPlace): Buffer {
  return Buffer.from(`antequem-block/v1\n${log}\n${first}\n${count}\n`);
}
