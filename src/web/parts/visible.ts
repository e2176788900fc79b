// Text of others, made such that it cannot pretend to be something else.

// Controls but newline and tab, marks that turn the direction of text, what has no width, lone surrogates.
const INVISIBLE = /[^\P{C}\n\t]|[\u2028\u2029]/gu;

/** The text with what one cannot see spelled out as ⟨U+202E⟩; at most `most` characters of it. */
export function visible(text: string, most = 4_096): string {
  const short = text.length > most ? `${text.slice(0, most)}…` : text;
  return short.replaceAll(
    INVISIBLE,
    (char) => `⟨U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}⟩`,
  );
}
