import { AntequemError } from '../../core/errors.ts';

/** What an audit reads from: a service, a web server with a mirror, or a folder. */
export interface AuditSource {
  /** Its name for people, without secrets. */
  describe(): string;
  /** It is a copy of some moment, after which the service may have gone on. */
  readonly copy?: true;
  /**
   * The bytes at a path below the root, such as `logs/demo/checkpoint`; null where there is nothing. At most `most` bytes
   * are read.
   * @throws AntequemError `answer-too-long`, `answer-redirected`, `answer-slow`, `answer-invalid`, `service-unreachable`,
   *   `service-refused`, `mirror-unreadable`
   */
  read(path: string, most: number): Promise<Uint8Array | null>;
  close(): void;
}

/** Codes of the errors of `read`. */
const FAILURES: ReadonlySet<string> = new Set([
  'answer-too-long',
  'answer-redirected',
  'answer-slow',
  'answer-invalid',
  'service-unreachable',
  'service-refused',
  'mirror-unreadable',
]);

/** Whether what an audit reads from failed, and not the audit. */
export function isSourceFailure(error: unknown): error is AntequemError {
  return error instanceof AntequemError && FAILURES.has(error.code);
}

/** Readings that are started before they are needed, in that order. */
export interface Ahead<T> {
  /** The next one; null behind the last. */
  next(): Promise<T | null>;
}

/**
 * Starts up to `depth` readings before they are asked for. What was started and is not asked for any more fails unheard.
 * @param start what begins the n-th reading; null behind the last
 */
export function readAhead<T>(depth: number, start: (n: number) => Promise<T> | null): Ahead<T> {
  const started: Promise<T>[] = [];
  let next = 0;
  let ended = false;
  const fill = (): void => {
    while (!ended && started.length < depth) {
      const reading = start(next++);
      if (reading === null) {
        ended = true;
        return;
      }
      reading.catch(() => {});
      started.push(reading);
    }
  };
  return {
    next: async () => {
      fill();
      const reading = started.shift();
      if (reading === undefined) return null;
      const value = await reading;
      fill();
      return value;
    },
  };
}

export function tooLong(where: string, most: number): AntequemError {
  return new AntequemError(
    'answer-too-long',
    `${where} has more than ${most.toLocaleString('en')} bytes, which nothing there has: it is not read further`,
  );
}
