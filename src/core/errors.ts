/** An error one can switch on: `code` is stable across releases, the message says what was wrong and what to do. */
export class AntequemError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'AntequemError';
    this.code = code;
  }
}

/** Bytes, text or JSON from outside that break a format. Whoever sent them can mend them; nobody else can. */
export class FormatError extends AntequemError {
  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(code, message, options);
    this.name = 'FormatError';
  }
}
