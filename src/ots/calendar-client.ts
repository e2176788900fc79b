// The HTTP side of a calendar: `POST /digest`, `GET /timestamp/<hex>`. What comes back is anybody's bytes.

import { collectAtMost } from '../core/bounded.ts';
import { toHex } from '../core/bytes.ts';
import { AntequemError, FormatError } from '../core/errors.ts';
import { parseTimestamp } from './serialization.ts';
import type { Timestamp } from './timestamp.ts';

/** Bytes an answer may have. */
const MAX_ANSWER = 10_000;

export interface CalendarAnswer {
  /** As it came. */
  readonly bytes: Uint8Array;
  /** Of the message that was asked about. */
  readonly timestamp: Timestamp;
}

/** A calendar did not answer as calendars do. Code `calendar-failed`; the message names it and says why. */
export class CalendarError extends AntequemError {
  /** Milliseconds after which it wants to be asked again; null: it did not say. */
  readonly retryAfter: number | null;

  constructor(message: string, retryAfter: number | null = null) {
    super('calendar-failed', message);
    this.name = 'CalendarError';
    this.retryAfter = retryAfter;
  }
}

export interface CalendarClient {
  /** The calendar's timestamp of a digest of up to 64 bytes. @throws CalendarError */
  submit(calendar: string, digest: Uint8Array): Promise<CalendarAnswer>;
  /** What a calendar knows of a message it promised to know more of; null: nothing yet. @throws CalendarError */
  upgrade(calendar: string, message: Uint8Array): Promise<CalendarAnswer | null>;
  /** Ends what is under way. */
  close(): void;
}

export interface CalendarClientOptions {
  /** Milliseconds for each question, the whole answer included. */
  readonly timeout: number;
  /** Told the time that an answer bears (HTTP `Date`), milliseconds since the Unix epoch. */
  readonly onTime?: (time: number) => void;
}

const HEADERS = {
  accept: 'application/vnd.opentimestamps.v1',
  'accept-encoding': 'identity',
  'user-agent': 'antequem',
};
const MAX_RETRY_AFTER = 3_600_000;

export function calendarClient({ timeout, onTime }: CalendarClientOptions): CalendarClient {
  const closing = new AbortController();
  const ask = async (calendar: string, path: string, digest: Uint8Array | null): Promise<Answer> => {
    try {
      const response = await fetch(`${calendar}${path}`, {
        method: digest === null ? 'GET' : 'POST',
        headers: digest === null ? HEADERS : { ...HEADERS, 'content-type': 'application/octet-stream' },
        body: digest === null ? null : new Uint8Array(digest),
        // Whoever is configured is asked, and nobody else.
        redirect: 'manual',
        signal: AbortSignal.any([closing.signal, AbortSignal.timeout(timeout)]),
      });
      const time = Date.parse(response.headers.get('date') ?? '');
      if (!Number.isNaN(time)) onTime?.(time);
      return { status: response.status, headers: response.headers, bytes: await boundedBytes(response) };
    } catch (error) {
      throw new CalendarError(`${calendar} did not answer: ${reasonOf(error, timeout)}`);
    }
  };
  return {
    submit: async (calendar, digest) => {
      const answer = await ask(calendar, '/digest', digest);
      if (answer.status !== 200) throw refusal(calendar, answer);
      return readAnswer(calendar, answer.bytes, digest);
    },
    upgrade: async (calendar, message) => {
      const answer = await ask(calendar, `/timestamp/${toHex(message)}`, null);
      if (answer.status === 404) return null;
      if (answer.status !== 200) throw refusal(calendar, answer);
      return readAnswer(calendar, answer.bytes, message);
    },
    close: () => closing.abort(),
  };
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
}

function readAnswer(calendar: string, bytes: Uint8Array, message: Uint8Array): CalendarAnswer {
  try {
    return { bytes, timestamp: parseTimestamp(bytes, message) };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new CalendarError(`${calendar} answered with what is no timestamp of ${toHex(message)}: ${error.message}`);
  }
}

function refusal(calendar: string, { status, headers }: Answer): CalendarError {
  if (status >= 300 && status < 400) {
    return new CalendarError(`${calendar} sent a redirect (status ${status}), which is not followed`);
  }
  const seconds = headers.get('retry-after') ?? '';
  const retryAfter = /^\d{1,9}$/.test(seconds) ? Math.min(Number(seconds) * 1_000, MAX_RETRY_AFTER) : null;
  return new CalendarError(`${calendar} answered with status ${status}`, retryAfter);
}

async function boundedBytes(response: Response): Promise<Uint8Array> {
  const bytes = await collectAtMost(response.body, MAX_ANSWER);
  if (bytes === null) throw new CalendarError(`more than ${MAX_ANSWER} bytes`);
  return bytes;
}

function reasonOf(error: unknown, timeout: number): string {
  if (!(error instanceof Error)) return 'for a reason unknown';
  if (error instanceof CalendarError) return error.message;
  if (error.name === 'TimeoutError') return `it took more than ${timeout} ms`;
  if (error.name === 'AbortError') return 'the service is stopping';
  return error.cause instanceof Error && 'code' in error.cause ? String(error.cause.code) : 'the connection failed';
}
