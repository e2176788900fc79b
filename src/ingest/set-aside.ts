// What a sender means to be logged and cannot be made canonical is logged as it came, marked (docs/ingestion.md).

import { sha256 } from '#sha256';
import { concat, toBase64, toHex, utf8 } from '../core/bytes.ts';
import { type EventDraft, eventDraft } from './event.ts';
import { ItemFault, type SetAsideReason } from './item-fault.ts';
import { canonicalOf } from './json.ts';

/** Larger items are kept as SHA-256 and length. */
const MAX_KEPT_BYTES = 512_000;

/** The draft that `make` returns; where it throws an ItemFault, that of the item as it came. */
export function draftOrSetAside(make: () => EventDraft, source: string, bytes: () => Uint8Array): EventDraft {
  try {
    return make();
  } catch (error) {
    if (error instanceof ItemFault) return setAside(error.reason, source, bytes());
    throw error;
  }
}

/** The line of an item as it came. Its event id is SHA-256(reason ‖ bytes): an item that comes again is known. */
export function setAside(reason: SetAsideReason, source: string, bytes: Uint8Array): EventDraft {
  const kept = bytes.length <= MAX_KEPT_BYTES;
  const content = kept ? { bytes: toBase64(bytes) } : { sha256: toHex(sha256(bytes)), length: bytes.length };
  const line = canonicalOf({ antequem: 'set-aside/v1', reason, source, ...content });
  const event = sha256(concat(utf8(reason), bytes)).slice(0, 16);
  return { ...eventDraft(line, event), setAside: { reason, kept } };
}
