// The calendars that an upgrade may ask, whatever a file names.

/** Who has run public calendars for years; each answers at names below these, over HTTPS. */
const OPERATORS = ['.calendar.opentimestamps.org', '.calendar.eternitywall.com', '.calendar.catallaxy.com'];

/** Whether a pending attestation's URI is that of a well-known public calendar. */
export function isPublicCalendar(uri: string): boolean {
  const url = URL.parse(uri);
  if (url === null || url.protocol !== 'https:' || url.port !== '' || url.username !== '') return false;
  return url.pathname === '/' && OPERATORS.some((operator) => url.hostname.endsWith(operator));
}

/** The URI without slashes at its end: how it is compared, and asked. */
export function calendarOf(uri: string): string {
  return uri.replace(/\/+$/, '');
}
