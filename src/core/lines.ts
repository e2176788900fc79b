export const NEWLINE = 0x0a;

const SPACE = 0x20;
const TAB = 0x09;
const CARRIAGE_RETURN = 0x0d;

/** Whether a line is blank, and so no entry: it is empty or holds only spaces, tabs and carriage returns. */
export function isBlank(bytes: Uint8Array, begin = 0, end = bytes.length): boolean {
  for (let i = begin; i < end; i++) {
    const byte = bytes[i];
    if (byte !== SPACE && byte !== TAB && byte !== CARRIAGE_RETURN) return false;
  }
  return true;
}
