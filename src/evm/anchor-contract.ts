// Typed access to contracts/Anchor.sol (design section 5). The artifact is generated: node scripts/artifact.ts

import { Interface } from 'ethers';
import { sha256 } from '#sha256';
import { concat, toHex, utf8 } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import artifact from './anchor-artifact.json' with { type: 'json' };

/** Address of the contract on every chain where it is deployed through the deterministic deployment proxy. */
export const ANCHOR_ADDRESS: string = artifact.address;

/** Code that creates the contract, 0x-hex. */
export const ANCHOR_INIT_CODE: string = artifact.initCode;

/** Keccak-256 of the code that stands at the address once deployed, 0x-hex. */
export const ANCHOR_RUNTIME_CODE_HASH: string = artifact.runtimeCodeHash;

/** CREATE2 salt of the deployment, 0x-hex. */
export const ANCHOR_SALT: string = artifact.salt;

export const ANCHOR_INTERFACE: Interface = new Interface(artifact.abi);

/** Calldata that stores the root's first moment and emits `Anchored`. @throws FormatError `hash-length` */
export function encodeAnchor(root: Uint8Array): string {
  return ANCHOR_INTERFACE.encodeFunctionData('anchor', [hash32(root)]);
}

/** Calldata that emits `Anchored` and stores nothing. @throws FormatError `hash-length` */
export function encodeAnnounce(root: Uint8Array): string {
  return ANCHOR_INTERFACE.encodeFunctionData('announce', [hash32(root)]);
}

/**
 * Calldata for a root that nobody has anchored, to estimate by: to anchor one a second time costs half.
 * @param salt what nobody knew beforehand
 */
export function freshCall(mode: 'anchor' | 'announce', salt: Uint8Array): string {
  const root = sha256(concat(utf8('antequem gas'), salt));
  return mode === 'anchor' ? encodeAnchor(root) : encodeAnnounce(root);
}

/** Calldata that asks when a root was first anchored. @throws FormatError `hash-length` */
export function encodeAnchoredAt(root: Uint8Array): string {
  return ANCHOR_INTERFACE.encodeFunctionData('anchoredAt', [hash32(root)]);
}

const EXISTED_BEFORE = ANCHOR_INTERFACE.getFunction('existedBefore')?.selector ?? '';
/** Bytes of a word of calldata. */
const WORD = 32;

/**
 * Calldata that asks the contract to walk a packed path (`packPath`). Put together here: it takes ethers as long as all
 * else of a receipt. @throws FormatError `hash-length`
 */
export function encodeExistedBefore(digest: Uint8Array, packedPath: Uint8Array): string {
  const word = (number: number): string => number.toString(16).padStart(2 * WORD, '0');
  const padded = 2 * WORD * Math.ceil(packedPath.length / WORD);
  const path = toHex(packedPath).padEnd(padded, '0');
  return `${EXISTED_BEFORE}${toHex(hash32(digest))}${word(2 * WORD)}${word(packedPath.length)}${path}`;
}

function hash32(bytes: Uint8Array): Uint8Array {
  if (bytes.length !== 32) throw new FormatError('hash-length', `a hash of ${bytes.length} bytes instead of 32`);
  return bytes;
}
