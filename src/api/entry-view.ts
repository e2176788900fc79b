import type { z } from 'zod';
import { toHex } from '../core/bytes.ts';
import { formatTime } from '../core/time.ts';
import type { StoredEntry } from '../log/blocks/open-block.ts';
import type { FoundEntry } from '../log/entries.ts';
import type { Log } from '../log/log.ts';
import type { entryForm, payloadForm } from './forms.ts';

/** An entry as it is listed, without its payload. */
export function entryView(log: Log, entry: StoredEntry): z.input<typeof entryForm> {
  return {
    log: log.origin,
    index: entry.index,
    receivedAt: formatTime(entry.receivedAt),
    digest: entry.secret === null ? null : toHex(entry.secret.digest),
    nonce: entry.secret === null ? null : toHex(entry.secret.nonce),
    commitment: toHex(entry.commitment),
    leafHash: toHex(entry.leafHash),
    payloadSize: entry.payloadSize,
    erased: entry.secret === null,
  };
}

/** The same with it. */
export function fullEntryView(log: Log, entry: FoundEntry): object {
  return { ...entryView(log, entry), payload: entry.payload === null ? null : payloadView(entry.payload) };
}

function payloadView(payload: Uint8Array): z.input<typeof payloadForm> {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payload) };
  } catch {
    return { base64: Buffer.from(payload).toString('base64') };
  }
}
