/**
 * The bytes, or the UTF-8 of a text, in memory of their own. `Buffer.from` puts what is small into slabs of 64 KiB: one
 * receipt that is remembered would keep all of a slab.
 */
export function ownBuffer(content: Uint8Array | string): Buffer {
  if (typeof content === 'string') {
    const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(content));
    bytes.write(content);
    return bytes;
  }
  const bytes = Buffer.allocUnsafeSlow(content.length);
  bytes.set(content);
  return bytes;
}
