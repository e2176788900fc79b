// A cosignature by ML-DSA-44, checked by Node alone: node ml-dsa.mjs CHECKPOINT VKEY-FILE

import { createHash, createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';

const [note = '', vkey = ''] = process.argv.slice(2).map((file) => readFileSync(file, 'utf8').trim());
const [, name = '', id = '', typed = ''] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(vkey) ?? [];
const key = Buffer.from(typed, 'base64');
const keyId = createHash('sha256').update(`${name}\n`).update(key).digest().subarray(0, 4);
const spki = Buffer.concat([Buffer.from('30820532300b06096086480165030403110382052100', 'hex'), key.subarray(1)]);
const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' });

const [origin = '', size = '0', root = ''] = note.split('\n');
const lines = note.split('\n').map((line) => line.split(' '));
const line = lines.find(
  ([, signer, text = '']) => signer === name && Buffer.from(text, 'base64').subarray(0, 4).equals(keyId),
);
const signature = Buffer.from(line?.[2] ?? '', 'base64').subarray(4);

const u64 = (number) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(number));
  return bytes;
};
const opaque = (text) => Buffer.concat([Buffer.from([Buffer.byteLength(text)]), Buffer.from(text)]);
const message = Buffer.concat([
  Buffer.from('subtree/v1\n\0'),
  opaque(name),
  signature.subarray(0, 8),
  opaque(origin),
  u64(0),
  u64(size),
  Buffer.from(root, 'base64'),
]);
const holds = () => verify(null, message, publicKey, signature.subarray(8));
console.log(`key id as in the vkey: ${keyId.toString('hex') === id}, holds: ${holds()}`);
message[message.length - 1] ^= 1;
console.log(`with another root: ${holds()}`);
