import { expect, it } from 'vitest';
import { ownBuffer } from '../../src/api/own-buffer.ts';

it.each(['', 'receipt', 'grüßt 🕰', Buffer.from('a bundle')])(
  '%s takes the memory of its own bytes alone',
  (content) => {
    const bytes = ownBuffer(content);
    expect(bytes.equals(Buffer.from(content))).toBe(true);
    expect(bytes.buffer.byteLength).toBe(bytes.length);
  },
);
