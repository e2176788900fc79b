import type { OtherCode } from './error-codes.ts';
import type { ProblemCode } from './problem-codes.ts';

/** Every code that an error of ours can have. `PROBLEM_STATUS` has those that the API answers, with their HTTP status. */
export type ErrorCode = ProblemCode | OtherCode;

/** `code` is stable across releases; the message says what is wrong and what to do. */
export class AntequemError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'AntequemError';
    this.code = code;
  }
}

/** Bytes, text or JSON from outside that break a format. Only their sender can correct them. */
export class FormatError extends AntequemError {
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(code, message, options);
    this.name = 'FormatError';
  }
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** Whether an error has this code: one of ours, of the system (`ENOENT`) or of PostgreSQL. */
export function hasCode(thrown: unknown, code: string): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === code;
}

/** The result of `read`; null where it throws a FormatError. */
export function parsed<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}
