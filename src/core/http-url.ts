/** The URL in a text, if it is an absolute one with http or https; else null. */
export function parseHttpUrl(text: string): URL | null {
  try {
    // URL.parse would not throw, but Node 20 does not have it.
    const url = new URL(text);
    return url.protocol === 'http:' || url.protocol === 'https:' ? url : null;
  } catch {
    return null;
  }
}
