// C2SP signed-note.

import { verifyEd25519 } from '#ed25519';
import { sha256 } from '#sha256';
import { compareBytes, concat, equalBytes, excerpt, fromBase64, fromHex, toBase64, toHex, utf8 } from './bytes.ts';
import { FormatError } from './errors.ts';

/** Of the signatures of logs. */
export const ED25519_NOTE = 0x01;
/** Characters: room for 32 cosignatures of ML-DSA-44, 3,300 each. */
export const MAX_NOTE_CHARACTERS = 262_144;
/** Those of the log, and of all witnesses that a policy can name. */
const MAX_SIGNATURES = 64;

export interface NoteSignature {
  readonly name: string;
  /** 4 bytes. */
  readonly keyId: Uint8Array;
  /** What follows the key id; 64 bytes for plain Ed25519. */
  readonly signature: Uint8Array;
}

export interface Note {
  /** The signed text, each of its lines ending in a newline. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** A public key a note can be checked with. */
export interface Verifier {
  readonly name: string;
  /** 4 bytes. */
  readonly keyId: Uint8Array;
  /** 32 bytes for Ed25519. */
  readonly publicKey: Uint8Array;
}

/** keyID = SHA-256(name ‖ 0x0A ‖ type ‖ public key)[0..4]. @param type default: plain Ed25519 */
export function noteKeyId(name: string, publicKey: Uint8Array, type = ED25519_NOTE): Uint8Array {
  return sha256(concat(utf8(name), new Uint8Array([0x0a, type]), publicKey)).slice(0, 4);
}

/** `name+hex8(keyID)+base64(type ‖ public key)`. */
export function formatVerifierKey(name: string, publicKey: Uint8Array, type = ED25519_NOTE): string {
  return `${name}+${toHex(noteKeyId(name, publicKey, type))}+${toBase64(concat(new Uint8Array([type]), publicKey))}`;
}

/** The key of a log. @throws FormatError `verifier-key`, `base64-invalid` */
export function parseVerifierKey(text: string): Verifier {
  const { type, ...key } = parseTypedKey(text);
  if (type !== ED25519_NOTE || key.publicKey.length !== 32) {
    throw new FormatError('verifier-key', 'the verifier key is not an Ed25519 key (0x01 and 32 bytes)');
  }
  return key;
}

/**
 * A verifier key of any signature type, with a public key of any length.
 * @throws FormatError `verifier-key`, `base64-invalid`
 */
export function parseTypedKey(text: string): Verifier & { readonly type: number } {
  const match = /^([^+\s]{1,400})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{4,4000})$/.exec(text);
  if (match === null) {
    throw new FormatError('verifier-key', `not a verifier key (name+8 hex digits+base64): ${excerpt(text)}`);
  }
  const [, name = '', id = '', key = ''] = match;
  const bytes = fromBase64(key);
  const [type = 0] = bytes;
  const publicKey = bytes.slice(1);
  const keyId = fromHex(id);
  if (!equalBytes(keyId, noteKeyId(name, publicKey, type))) {
    throw new FormatError('verifier-key', `the key id ${id} is not that of this name and key`);
  }
  return { name, keyId, publicKey, type };
}

/** One signature line, newline included. */
export function formatSignature(signature: NoteSignature): string {
  return `— ${signature.name} ${toBase64(concat(signature.keyId, signature.signature))}\n`;
}

/** Text, blank line, signature lines. */
export function formatNote(note: Note): string {
  return `${note.text}\n${note.signatures.map(formatSignature).join('')}`;
}

/**
 * One note with the signature lines of all, in their order. All must be notes of the same text.
 * @throws FormatError `note-invalid` where they are not
 */
export function joinNotes(notes: readonly string[]): string {
  const [first, ...others] = notes;
  if (first === undefined) throw invalid('none at all');
  const body = first.slice(0, first.lastIndexOf('\n\n') + 2);
  if (body === '' || others.some((note) => !note.startsWith(body) || note.lastIndexOf('\n\n') + 2 !== body.length)) {
    throw invalid('signed over another text than the others');
  }
  return first + others.map((note) => note.slice(body.length)).join('');
}

/**
 * Parses a signed note; does not check its signatures.
 * @throws FormatError `note-invalid`, `base64-invalid`
 */
export function parseNote(note: string): Note {
  if (note.length > MAX_NOTE_CHARACTERS) throw invalid(`longer than ${MAX_NOTE_CHARACTERS} characters`);
  // In UTF-8 a lone surrogate becomes U+FFFD: two texts would have one signature.
  if (!note.isWellFormed()) throw invalid('half a surrogate pair');
  for (let i = 0; i < note.length; i++) {
    const unit = note.charCodeAt(i);
    if ((unit < 0x20 && unit !== 0x0a) || unit === 0x7f) throw invalid('a control character');
  }
  const blank = note.lastIndexOf('\n\n');
  if (blank < 0) throw invalid('no blank line before the signatures');
  const text = note.slice(0, blank + 1);
  const block = note.slice(blank + 2);
  if (!block.endsWith('\n')) throw invalid('the last line has no newline');
  const lines = block.slice(0, -1).split('\n');
  if (lines.length > MAX_SIGNATURES) throw invalid(`more than ${MAX_SIGNATURES} signatures`);
  return { text, signatures: lines.map(parseSignature) };
}

function parseSignature(line: string): NoteSignature {
  const match = /^— ([^+\s]{1,400}) ([A-Za-z0-9+/=]{8,8192})$/.exec(line);
  if (match === null) throw invalid(`not a signature line: ${excerpt(line)}`);
  const [, name = '', encoded = ''] = match;
  const bytes = fromBase64(encoded);
  if (bytes.length < 5) throw invalid('a signature is too short');
  return { name, keyId: bytes.slice(0, 4), signature: bytes.slice(4) };
}

function invalid(what: string): FormatError {
  return new FormatError('note-invalid', `not a signed note: ${what}`);
}

/**
 * What a key says of a note: `verified`, `refuted` (a signature under its name and id does not hold) or `absent`
 * (there is none). Ed25519 of RFC 8032, without the leniency of ZIP 215.
 */
export function checkNote(note: Note, key: Verifier): 'verified' | 'refuted' | 'absent' {
  const own = note.signatures.filter((s) => s.name === key.name && compareBytes(s.keyId, key.keyId) === 0);
  if (own.length === 0) return 'absent';
  const message = utf8(note.text);
  const holds = own.every((s) => s.signature.length === 64 && verifyEd25519(s.signature, message, key.publicKey));
  return holds ? 'verified' : 'refuted';
}

const PREFIX = fromHex('302a300506032b6570032100');

/** The SubjectPublicKeyInfo (DER) of an Ed25519 key of 32 bytes (RFC 8410 section 4). */
export function ed25519Spki(publicKey: Uint8Array): Uint8Array {
  return concat(PREFIX, publicKey);
}

const ML_DSA_44_PREFIX = fromHex('30820532300b06096086480165030403110382052100');

/** The SubjectPublicKeyInfo (DER) of an ML-DSA-44 key of 1,312 bytes (RFC 9881 section 4). */
export function mlDsa44Spki(publicKey: Uint8Array): Uint8Array {
  return concat(ML_DSA_44_PREFIX, publicKey);
}
