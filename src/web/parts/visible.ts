// Makes invisible characters in untrusted text visible, so that it cannot be displayed as something else.

// Controls except newline and tab, bidirectional marks, zero-width characters, lone surrogates.
const INVISIBLE = /[^\P{C}\n\t]|[\u2028\u2029]/gu;

/** At most `most` characters of the text, with invisible characters written as ⟨U+202E⟩. */
export function visible(text: string, most = 4_096): string {
  const short = text.length > most ? `${text.slice(0, most)}…` : text;
  return short.replaceAll(
    INVISIBLE,
    (char) => `⟨U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}⟩`,
  );
}
