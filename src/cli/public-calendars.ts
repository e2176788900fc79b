// The calendars that an upgrade may ask without the user naming them: a file could name any server.

/** Domains of operators who have run public calendars for years; their calendars are HTTPS hosts below these. */
const OPERATORS = ['.calendar.opentimestamps.org', '.calendar.eternitywall.com', '.calendar.catallaxy.com'];

/** Whether a pending attestation's URI is that of a well-known public calendar. */
export function isPublicCalendar(uri: string): boolean {
  const url = URL.parse(uri);
  if (url === null || url.protocol !== 'https:' || url.port !== '' || url.username !== '') return false;
  return url.pathname === '/' && OPERATORS.some((operator) => url.hostname.endsWith(operator));
}

/** Removes slashes at the end, for comparing and asking. */
export function calendarOf(uri: string): string {
  return uri.replace(/\/+$/, '');
}
