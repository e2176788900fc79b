const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** The value that a text, or bytes in UTF-8, spell as JSON; undefined where they spell none, which JSON itself cannot say. */
export function parseJson(text: string | Uint8Array): unknown {
  try {
    return JSON.parse(typeof text === 'string' ? text : UTF8.decode(text));
  } catch {
    return undefined;
  }
}
