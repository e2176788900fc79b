// Packs blocks on the thread pool: the event loop has other work meanwhile.

import { constants, createZstdCompress } from 'node:zlib';
import { AntequemError } from '../../core/errors.ts';
import {
  COMPRESSION,
  cutParts,
  isWorthPacking,
  joinParts,
  layOut,
  type StoredContent,
  sealPart,
  Workspace,
} from './block.ts';

/** More would keep files waiting for the threads of the pool. */
const COMPRESSORS = 2;
/** What a compressor has memory for at a time, of what comes out. */
const CHUNK_BYTES = 256 << 10;

/** Makes one zstd frame after the other. A context that is kept costs a third of the time for small parts. */
class Compressor {
  readonly memory = new Workspace();
  readonly #stream = createZstdCompress({ ...COMPRESSION, flush: constants.ZSTD_e_end, chunkSize: CHUNK_BYTES });
  #frame: Uint8Array[] = [];

  constructor() {
    this.#stream.on('data', (piece: Uint8Array) => this.#frame.push(piece));
    // Told to what was written, too.
    this.#stream.on('error', () => {});
  }

  /** Never twice at a time. */
  async compress(bytes: Uint8Array): Promise<Uint8Array> {
    this.#frame = [];
    await new Promise<void>((resolve, reject) => {
      this.#stream.write(bytes, (error) => (error == null ? resolve() : reject(error)));
    });
    const [piece] = this.#frame;
    if (piece === undefined) throw new AntequemError('internal', 'a compressor gave nothing');
    return this.#frame.length === 1 ? piece : Buffer.concat(this.#frame);
  }
}

const idle: Compressor[] = [];
const waiting: ((compressor: Compressor) => void)[] = [];
let made = 0;

/** The same bytes as `packContents` makes. @param nonceSize bytes of each nonce */
export async function packAside(contents: readonly StoredContent[], nonceSize: number): Promise<Buffer> {
  const parts = cutParts(contents);
  return joinParts(parts, await Promise.all(parts.map((part) => packPart(part, nonceSize))));
}

async function packPart(contents: readonly StoredContent[], nonceSize: number): Promise<Buffer> {
  const compressor = await takeCompressor();
  let isSound = true;
  try {
    const unpacked = layOut(contents, compressor.memory);
    if (!isWorthPacking(unpacked)) return sealPart(contents, nonceSize, unpacked, null);
    isSound = false;
    const smaller = await compressor.compress(unpacked);
    isSound = true;
    return sealPart(contents, nonceSize, unpacked, smaller);
  } finally {
    giveBack(isSound ? compressor : null);
  }
}

function takeCompressor(): Compressor | Promise<Compressor> {
  const compressor = idle.pop();
  if (compressor !== undefined) return compressor;
  if (made === COMPRESSORS) return new Promise((resolve) => waiting.push(resolve));
  made++;
  return new Compressor();
}

/** @param compressor null: it failed, and another takes its place */
function giveBack(compressor: Compressor | null): void {
  const next = waiting.shift();
  if (next !== undefined) next(compressor ?? new Compressor());
  else if (compressor !== null) idle.push(compressor);
  else made--;
}
