import { z } from 'zod';
import { WorkThread } from './thread.ts';

/** Verdicts on what others send. */
export interface Verifications {
  /**
   * The verdict on a body of `POST /v1/verify`, as JSON. The bytes are given away.
   * @throws FormatError for what the body breaks; Problem `overloaded`
   */
  verdict(body: Uint8Array): Promise<string>;
  close(): Promise<void>;
}

/** Verified side by side: most of the time goes by waiting for nodes. */
const AT_ONCE = 4;
const MOST_WAITING = 16;
const HEAP_MB = 128;

/** Verifies in a thread of its own. */
export class VerificationThread implements Verifications {
  readonly #thread: WorkThread<string>;

  /** @param file what the thread runs @param data what it is given at its start */
  constructor(file: URL, data: unknown) {
    this.#thread = new WorkThread({
      file,
      data,
      parse: (answer) => z.string().parse(answer),
      what: 'a verification',
      atOnce: AT_ONCE,
      mostWaiting: MOST_WAITING,
      heapMb: HEAP_MB,
    });
  }

  verdict(body: Uint8Array): Promise<string> {
    const { buffer, byteOffset, byteLength } = body;
    // A small body lies in memory that it shares with others, which would go with it.
    const own = byteLength === buffer.byteLength && buffer instanceof ArrayBuffer;
    const given = own ? buffer : new Uint8Array(body).buffer;
    return this.#thread.ask(new Uint8Array(given, own ? byteOffset : 0, byteLength), [given]);
  }

  close(): Promise<void> {
    return this.#thread.close();
  }
}
