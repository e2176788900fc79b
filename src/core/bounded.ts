import { concatAll } from './bytes.ts';

/** The bytes of a stream, such as the body of an answer; null where there are more than `most`. */
export async function collectAtMost(
  chunks: AsyncIterable<Uint8Array> | null,
  most: number,
): Promise<Uint8Array | null> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks ?? []) {
    length += chunk.length;
    if (length > most) return null;
    parts.push(chunk);
  }
  return concatAll(parts);
}
