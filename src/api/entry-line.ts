// An entry as JSON text, written byte by byte: an export has millions of them.

import { isUtf8 } from 'node:buffer';
import { utf8 } from '../core/bytes.ts';
import type { TextWriter } from '../core/text-writer.ts';
import { formatTime } from '../core/time.ts';
import type { FoundEntry } from '../log/entries.ts';
import type { Log } from '../log/log.ts';

/** Writes what `JSON.stringify` makes of `fullEntryView`, without the brace at its end. */
export class EntryLines {
  readonly #head: string;
  #time = { at: 0, text: formatTime(0) };

  constructor(log: Pick<Log, 'origin'>) {
    this.#head = `{"log":${JSON.stringify(log.origin)},"index":`;
  }

  write(out: TextWriter, { index, receivedAt, secret, commitment, leafHash, payloadSize, payload }: FoundEntry): void {
    // Entries of a batch have one time.
    if (receivedAt !== this.#time.at) this.#time = { at: receivedAt, text: formatTime(receivedAt) };
    out.text(`${this.#head}${index},"receivedAt":"${this.#time.text}"`);
    out.bytes(DIGEST);
    writeHash(out, secret?.digest);
    out.bytes(NONCE);
    writeHash(out, secret?.nonce);
    out.bytes(COMMITMENT);
    writeHash(out, commitment);
    out.bytes(LEAF_HASH);
    writeHash(out, leafHash);
    out.text(`,"payloadSize":${payloadSize},"erased":${secret === null},"payload":`);
    writePayload(out, payload);
  }
}

const DIGEST = utf8(',"digest":');
const NONCE = utf8(',"nonce":');
const COMMITMENT = utf8(',"commitment":');
const LEAF_HASH = utf8(',"leafHash":');
const QUOTE = 0x22;
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

function writeHash(out: TextWriter, bytes: Uint8Array | undefined): void {
  if (bytes === undefined) out.text('null');
  else {
    out.byte(QUOTE);
    out.hex(bytes);
    out.byte(QUOTE);
  }
}

function writePayload(out: TextWriter, payload: Uint8Array | null): void {
  if (payload === null) out.text('null');
  else if (isUtf8(payload)) out.text(`{"text":${JSON.stringify(decoder.decode(payload))}}`);
  else out.text(`{"base64":"${Buffer.from(payload).toString('base64')}"}`);
}
