/** Characters that a line of an export may have: an entry of 1 MiB in base64, and its receipt. */
const MAX_LINE = 16 << 20;

/** The lines of a stream as they come. @throws Error where the last one is cut short, or one is beyond all measure */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_LINE) throw new Error(`a line has more than ${MAX_LINE} characters`);
    yield* lines;
  }
  if (rest !== '') throw new Error('the last line is cut short');
}
