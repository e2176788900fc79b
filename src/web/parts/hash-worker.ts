// Hashes a file while reading it, so that only one chunk is in memory.

import { ripemd160, sha1 } from '@noble/hashes/legacy.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { messageOf } from '../../core/errors.ts';

const HASHES = { sha256, sha1, ripemd160, keccak256: keccak_256 } as const;
export type HashName = keyof typeof HASHES;

export interface HashRequest {
  readonly file: Blob;
  readonly hash: HashName;
}

export type HashAnswer =
  | { readonly bytes: number }
  | { readonly digest: Uint8Array }
  /** Browsers give no details about a missing or unreadable file. */
  | { readonly failure: string };

const CHUNK = 1 << 20;
const NEWS_MS = 100;

self.onmessage = async ({ data }: MessageEvent<HashRequest>) => {
  try {
    tell({ digest: await digestOf(data) });
  } catch (error) {
    tell({ failure: messageOf(error) });
  }
};

function tell(answer: HashAnswer): void {
  self.postMessage(answer);
}

async function digestOf({ file, hash }: HashRequest): Promise<Uint8Array> {
  const state = HASHES[hash].create();
  let bytes = 0;
  let toldAt = 0;
  for await (const chunk of chunksOf(file)) {
    state.update(chunk);
    bytes += chunk.length;
    const now = performance.now();
    if (now - toldAt < NEWS_MS) continue;
    toldAt = now;
    tell({ bytes });
  }
  return state.digest();
}

/** Reuses one buffer if the browser can read into it; otherwise garbage may pile up faster than it is collected. */
async function* chunksOf(file: Blob): AsyncGenerator<Uint8Array> {
  let reader: ReadableStreamBYOBReader;
  try {
    reader = file.stream().getReader({ mode: 'byob' });
  } catch {
    yield* file.stream();
    return;
  }
  let buffer = new ArrayBuffer(CHUNK);
  for (;;) {
    const { done, value } = await reader.read(new Uint8Array(buffer));
    if (done || value === undefined) return;
    yield value;
    buffer = value.buffer;
  }
}
