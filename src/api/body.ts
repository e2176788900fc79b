import type { EventEmitter } from 'node:events';
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import type { Request, Response } from 'express';
import { FormatError } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import { Problem } from './problem.ts';

/** What a request costs beside its body. */
const REQUEST_COST_BYTES = 8 << 10;
const CHUNK_BYTES = 64 << 10;

/** A bound on what all requests with bodies hold at the same time, from the first byte to the answer. */
export class BodyBudget {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  /** An account for the body of one request: what it takes comes back when the response is over. */
  open(response: Response): BodyAccount {
    return closingAccount(response, {
      take: (bytes) => {
        if (bytes > this.#left) throw new Problem('overloaded', REQUEST_OVERLOADED);
        this.#left -= bytes;
      },
      give: (bytes) => {
        this.#left += bytes;
      },
    });
  }
}

export const REQUEST_OVERLOADED = 'too many requests are under way: try again in a moment';

export interface BodyAccount {
  /** @throws Problem 503 `overloaded` */
  readonly take: (bytes: number) => void;
}

/** An account that gives back what it took when the response is over. */
export function closingAccount(
  response: EventEmitter,
  { take, give }: BodyAccount & { readonly give: (bytes: number) => void },
): BodyAccount {
  let held = 0;
  response.on('close', () => {
    give(held);
    held = 0;
  });
  return {
    take: (bytes) => {
      take(bytes);
      held += bytes;
    },
  };
}

const DECODERS = {
  gzip: () => createGunzip({ chunkSize: CHUNK_BYTES }),
  'x-gzip': () => createGunzip({ chunkSize: CHUNK_BYTES }),
  deflate: () => createInflate({ chunkSize: CHUNK_BYTES }),
  br: () => createBrotliDecompress({ chunkSize: CHUNK_BYTES }),
  zstd: () => createZstdDecompress({ chunkSize: CHUNK_BYTES }),
} as const;

/**
 * Reads bodies of at most `limit` bytes, counted decompressed: all of their bytes, none where there is no body. Bytes
 * count against the budget as they arrive.
 * The returned function throws Problem 413 `body-too-large`, 415 `encoding-unsupported`, 400 `request-invalid`,
 * 503 `overloaded`.
 */
export function bodyReader(
  limit: number,
  budget: BodyBudget,
): (request: Request, response: Response) => Promise<Uint8Array> {
  return (request, response) =>
    collectBody(request, {
      limit,
      account: budget.open(response),
      encoding: contentEncoding(request),
      collect: (length) => new WholeBody(length),
    });
}

/** A body in the pieces in which it came. */
export interface PiecedBody {
  readonly pieces: readonly Uint8Array[];
  /** Gives their memory back, and nobody may have use for them any more. What is left to the garbage collector has it run often. */
  readonly release: () => void;
}

/** The same for bodies that are read piece by piece: their bytes are not copied into one. */
export function piecesReader(
  limit: number,
  budget: BodyBudget,
): (request: Request, response: Response) => Promise<PiecedBody> {
  return (request, response) =>
    collectBody(request, {
      limit,
      account: budget.open(response),
      encoding: contentEncoding(request),
      collect: () => new BodyPieces(),
    });
}

/**
 * The body of a request as it was sent, compressed or not.
 * @throws Problem 413 `body-too-large`, 400 `request-invalid`, 503 `overloaded`
 */
export async function sentBody(request: Request, limit: number, account: BodyAccount): Promise<Uint8Array> {
  return collectBody(request, { limit, account, encoding: null, collect: (length) => new WholeBody(length) });
}

/** How a body is compressed; null: it is not. @throws Problem 415 `encoding-unsupported` */
export function contentEncoding(request: Request): BodyEncoding | null {
  const encoding = (request.get('content-encoding') ?? 'identity').trim().toLowerCase();
  if (encoding === 'identity') return null;
  if (isDecoded(encoding)) return encoding;
  const says = 'the content encoding is not supported: send gzip, deflate, br, zstd or none';
  throw new Problem('encoding-unsupported', says);
}

/**
 * What compressed bytes hold.
 * @throws Problem 413 `body-too-large`, 400 `request-invalid`, 503 `overloaded`
 */
export async function decompressed(
  bytes: Uint8Array,
  encoding: BodyEncoding,
  limit: number,
  account: BodyAccount,
): Promise<Uint8Array> {
  const decoder = DECODERS[encoding]();
  const body = new BodyPieces();
  decoder.end(bytes);
  try {
    for await (const chunk of decoder) {
      if (!(chunk instanceof Uint8Array)) continue;
      if (body.length + chunk.length > limit) throw tooLarge(limit);
      account.take(chunk.length);
      body.add(chunk);
    }
  } catch (error) {
    throw error instanceof Problem ? error : new Problem('request-invalid', 'the body cannot be decompressed');
  }
  return Buffer.concat(body.end().pieces, body.length);
}

interface Collecting<T> {
  readonly limit: number;
  readonly account: BodyAccount;
  readonly encoding: BodyEncoding | null;
  /** @param length of the body; null: it is not known */
  readonly collect: (length: number | null) => Collected<T>;
}

/** The chunks of a body that came so far. */
interface Collected<T> {
  readonly length: number;
  add(chunk: Uint8Array): void;
  end(): T;
}

function collectBody<T>(request: Request, { limit, account, encoding, collect }: Collecting<T>): Promise<T> {
  const declared = request.get('content-length');
  const length = encoding === null && declared !== undefined ? Number(declared) : null;
  if (length !== null && length > limit) throw tooLarge(limit);
  account.take(REQUEST_COST_BYTES);
  if (request.destroyed) throw brokenOff();
  const decoder = encoding === null ? null : DECODERS[encoding]();
  return new Promise((resolve, reject) => {
    const body = collect(length);
    const source = decoder === null ? request : request.pipe(decoder);
    const fail = (error: Problem): void => {
      source.off('data', onData);
      if (decoder !== null) {
        request.unpipe(decoder);
        decoder.destroy();
      }
      // The rest is read and dropped, so that a sender that is still writing gets to the answer.
      request.resume();
      reject(error);
    };
    const onData = (chunk: Uint8Array): void => {
      try {
        if (body.length + chunk.length > limit) throw tooLarge(limit);
        account.take(chunk.length);
        body.add(chunk);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        fail(error);
      }
    };
    source.on('data', onData);
    source.on('end', () => (request.complete ? resolve(body.end()) : fail(brokenOff())));
    decoder?.on('error', () => fail(new Problem('request-invalid', 'the body cannot be decompressed')));
    request.on('error', () => fail(brokenOff()));
    request.on('close', () => {
      if (!request.complete) fail(brokenOff());
    });
  });
}

/**
 * Chunks in one piece, into which they are copied as they come where the length is known and several come. The piece is made
 * once an eighth has come: memory for a length that is only declared costs the sender nothing, and the process its collections of garbage.
 */
class WholeBody implements Collected<Uint8Array> {
  readonly #expected: number | null;
  #whole: Buffer | null = null;
  #pieces = new BodyPieces();
  #length = 0;

  constructor(expected: number | null) {
    this.#expected = expected;
  }

  get length(): number {
    return this.#length;
  }

  add(chunk: Uint8Array): void {
    const length = this.#length + chunk.length;
    const expected = this.#expected;
    if (this.#whole === null && expected !== null && chunk.length < expected && 8 * length >= expected) {
      this.#whole = Buffer.allocUnsafeSlow(expected);
      let at = 0;
      for (const earlier of this.#pieces.end().pieces) {
        this.#whole.set(earlier, at);
        at += earlier.length;
      }
      this.#pieces = new BodyPieces();
    }
    if (this.#whole === null) this.#pieces.add(chunk);
    else this.#whole.set(chunk, this.#length);
    this.#length = length;
  }

  end(): Uint8Array {
    if (this.#whole !== null) return this.#whole.subarray(0, this.#length);
    const { pieces } = this.#pieces.end();
    const [only] = pieces;
    return only !== undefined && pieces.length === 1 ? only : Buffer.concat(pieces, this.#length);
  }
}

const NOTHING = Buffer.alloc(0);

/** Chunks as they come; small ones are put together, since each costs some hundred bytes besides. */
class BodyPieces implements Collected<PiecedBody> {
  readonly #pieces: Uint8Array[] = [];
  /** What holds nothing but pieces. */
  readonly #memory: ArrayBuffer[] = [];
  #open = NOTHING;
  #filled = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(chunk: Uint8Array): void {
    if (this.#length === 0 || chunk.length > CHUNK_BYTES / 4) {
      this.#close();
      this.#pieces.push(chunk);
      const { buffer } = chunk;
      if (buffer instanceof ArrayBuffer && buffer.byteLength === chunk.length) this.#memory.push(buffer);
    } else {
      if (chunk.length > this.#open.length - this.#filled) {
        this.#close();
        const size = Math.min(CHUNK_BYTES, Math.max(2 * this.#length, 2 * chunk.length));
        const memory = new ArrayBuffer(size);
        this.#memory.push(memory);
        this.#open = Buffer.from(memory);
      }
      this.#open.set(chunk, this.#filled);
      this.#filled += chunk.length;
    }
    this.#length += chunk.length;
  }

  end(): PiecedBody {
    this.#close();
    return {
      pieces: this.#pieces,
      release: () => {
        for (const memory of this.#memory) memory.transfer(0);
      },
    };
  }

  #close(): void {
    if (this.#filled > 0) this.#pieces.push(this.#open.subarray(0, this.#filled));
    this.#open = this.#open.subarray(this.#filled);
    this.#filled = 0;
  }
}

export type BodyEncoding = keyof typeof DECODERS;

function isDecoded(encoding: string): encoding is BodyEncoding {
  return Object.hasOwn(DECODERS, encoding);
}

function tooLarge(limit: number): Problem {
  const says = `the body is larger than ${limit} bytes, decompressed: send smaller batches or entries`;
  return new Problem('body-too-large', says);
}

function brokenOff(): Problem {
  return new Problem('request-invalid', 'the body did not arrive whole: send it again');
}

/** The media type of the body in lower case, without parameters; empty where there is none. */
export function mediaType(request: Request): string {
  return (request.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/** @throws FormatError `json-invalid` */
export function bodyJson(body: Uint8Array): unknown {
  const json = parseJson(body);
  if (json === undefined) throw new FormatError('json-invalid', 'the body is not JSON in UTF-8');
  return json;
}
