import { sha256 } from '#sha256';
import { excerpt, utf8 } from './bytes.ts';
import { FormatError } from './errors.ts';

/** The log in which the service records its own acts. */
export const SYSTEM_LOG = '_system';

const LOG_NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
/** With `/logs/` and a log's name behind it stays below the 400 characters that notes and verifier keys take. */
const MAX_SERVICE_ORIGIN = 255;
// HTTP clients resolve segments `.` and `..` before they send a URL.
const SERVICE_ORIGIN =
  /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[1-9][0-9]{0,4})?(?:\/(?!\.{1,2}(?:\/|$))[a-z0-9._~-]{1,64}){0,4}$/;

/** @throws FormatError `log-name-invalid` unless `[a-z0-9][a-z0-9._-]{0,62}` or `_system` */
export function checkLogName(name: string): void {
  if (name !== SYSTEM_LOG && !LOG_NAME.test(name)) {
    throw new FormatError(
      'log-name-invalid',
      `not a log name: ${excerpt(name)}; use up to 63 of a-z 0-9 . _ - and begin with a letter or a digit`,
    );
  }
}

/** Whether a text is a URL prefix in lower case without a scheme, such as `log.example.org`. */
export function isServiceOrigin(text: string): boolean {
  return text.length <= MAX_SERVICE_ORIGIN && SERVICE_ORIGIN.test(text);
}

/** @throws FormatError `origin-invalid` unless it is such a prefix */
export function checkServiceOrigin(origin: string): void {
  if (!isServiceOrigin(origin)) {
    throw new FormatError(
      'origin-invalid',
      `not a service origin: ${excerpt(origin)}; use a host name in lower case without a scheme, such as log.example.org`,
    );
  }
}

/** The origin of a log: its permanent name, and where its tiles are served. */
export function logOrigin(serviceOrigin: string, name: string): string {
  checkServiceOrigin(serviceOrigin);
  checkLogName(name);
  return `${serviceOrigin}/logs/${name}`;
}

/** Log id = SHA-256(origin): 32 bytes. */
export function logId(origin: string): Uint8Array {
  return sha256(utf8(origin));
}
