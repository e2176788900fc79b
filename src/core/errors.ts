import type { OtherCode } from './error-codes.ts';
import type { ProblemCode } from './problem-codes.ts';

/** Every code that an error of ours can have. `PROBLEM_STATUS` has those that the API answers, with their HTTP status. */
export type ErrorCode = ProblemCode | OtherCode;

/** An error one can switch on: `code` is stable across releases, the message says what was wrong and what to do. */
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

/** What was thrown, in words. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** Whether what was thrown has this code: one of ours, of the system (`ENOENT`) or of PostgreSQL. */
export function hasCode(thrown: unknown, code: string): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === code;
}
