/** The bytes with one to three changes, below the header of an .ots file for the most part; the same for the same seed. */
export function mutated(bytes: Uint8Array, seed: number): Uint8Array {
  const next = numbers(seed);
  let out = bytes;
  for (let changes = 1 + (next() % 3); changes > 0; changes--) {
    const start = next() % 8 === 0 ? 0 : Math.min(52, out.length);
    const at = start + (next() % Math.max(1, out.length - start));
    out = change(out, at, next);
  }
  return out;
}

const TELLING = [0x00, 0x01, 0x02, 0x03, 0x08, 0x67, 0x7f, 0x80, 0xf0, 0xf1, 0xf2, 0xf3, 0xff];

function change(bytes: Uint8Array, at: number, next: () => number): Uint8Array {
  const value = next() % 2 === 0 ? next() % 256 : (TELLING[next() % TELLING.length] ?? 0);
  const length = 1 + (next() % 12);
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (next() % 5) {
    case 0:
      return new Uint8Array([...before, value, ...after]);
    case 1:
      return new Uint8Array([...before, ...after.subarray(length)]);
    case 2:
      return new Uint8Array([...before, ...after.subarray(0, length), ...after]);
    default:
      return new Uint8Array([...before, value, ...after.subarray(1)]);
  }
}

/** xorshift32. */
function numbers(seed: number): () => number {
  let state = (seed + 1) * 0x9e3779b1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
