// Inputs near what is right: most get past the first check of a parser, and few past all of them.

/** Numbers below 2^32, the same for the same seed (xorshift32). */
export function numbers(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

const TELLING = [0x00, 0x0a, 0x20, 0x22, 0x2c, 0x2d, 0x30, 0x5b, 0x5d, 0x7b, 0x7f, 0x80, 0xb7, 0xb8, 0xc0, 0xf7, 0xff];

/** One of the samples with up to four changes, a piece of another in it, or noise alone. */
export function mutant(samples: readonly Uint8Array[], next: () => number): Uint8Array {
  const sample = (): Uint8Array => samples[next() % samples.length] ?? new Uint8Array(0);
  if (next() % 16 === 0) return Uint8Array.from({ length: next() % 200 }, () => next() % 256);
  let bytes = sample();
  for (let changes = next() % 5; changes > 0; changes--) bytes = changed(bytes, sample(), next);
  return bytes;
}

function changed(bytes: Uint8Array, other: Uint8Array, next: () => number): Uint8Array {
  const at = next() % (bytes.length + 1);
  const length = next() % 4 === 0 ? next() % (bytes.length + 1) : next() % 16;
  const [before, rest] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (next() % 8) {
    case 0:
      return before;
    case 1:
      return joined(before, rest.subarray(length));
    case 2:
      return joined(before, rest.subarray(0, length), rest);
    case 3: {
      const from = next() % (other.length + 1);
      return joined(before, other.subarray(from, from + length), rest);
    }
    case 4:
      return joined(before, Uint8Array.of(TELLING[next() % TELLING.length] ?? 0), rest);
    case 5:
      return joined(before, Uint8Array.of((rest[0] ?? 0) ^ (1 << (next() % 8))), rest.subarray(1));
    default:
      return joined(before, Uint8Array.of(TELLING[next() % TELLING.length] ?? 0), rest.subarray(1));
  }
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
