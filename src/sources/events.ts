// What a verified request becomes: a line of canonical JSON for each event, with the proof that was checked.

import { sha256 } from '#sha256';
import { toBase64, toHex, utf8 } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { MAX_ENTRY_BYTES } from '../core/limits.ts';
import { isBlank, NEWLINE } from '../core/lines.ts';
import { checkEventCount, type EventDraft, eventDraft, eventId } from '../ingest/event.ts';
import { ItemFault, type SetAsideReason } from '../ingest/item-fault.ts';
import { canonicalJson, decodeUtf8, type Json, JsonNumber, JsonObject, readJson } from '../ingest/json.ts';
import { JsonCursor } from '../ingest/json-cursor.ts';
import { type SenderCheck, type Verified, VOUCHERS } from './scheme.ts';

const MAX_ID_CHARACTERS = 1_024;

/** What every line of a source says of it. */
export interface SourceName {
  readonly id: string;
  readonly name: string;
  readonly scheme: string;
}

/** The body of a verified request. */
export interface Body {
  /** As it came, as the signature covers it. */
  readonly sent: Uint8Array;
  /** The same, decompressed. */
  readonly plain: Uint8Array;
  /** `Content-Encoding` where the body came compressed. */
  readonly encoding: string | null;
  /** In lower case, without parameters. */
  readonly mediaType: string;
  /** The body as JSON; null: it is none. */
  readonly event: Json | null;
  /** Why it is none, where it is said to be JSON. */
  readonly fault: SetAsideReason | null;
}

/** Reads a body: as JSON wherever it is JSON, since some senders label it as something else. */
export function readBody(sent: Uint8Array, plain: Uint8Array, encoding: string | null, mediaType: string): Body {
  const content = { sent, plain, encoding, mediaType };
  try {
    return { ...content, event: readJson(plain), fault: null };
  } catch (error) {
    if (!(error instanceof ItemFault)) throw error;
    return { ...content, event: null, fault: /[/+]json$/.test(mediaType) ? error.reason : null };
  }
}

/** The drafts of a request's events, one at a time. @throws FormatError `batch-too-large` */
export function* eventDrafts(
  source: SourceName,
  verified: Verified,
  verifier: SenderCheck,
  content: Body,
): Generator<EventDraft> {
  const bodyHash = sha256(content.sent);
  const items = verifier.items === true ? itemsOf(content) : null;
  if (items === null) {
    yield bodyDraft(source, verified, verifier, content, bodyHash);
    return;
  }
  checkEventCount(items.length);
  for (const [position, item] of items.entries()) {
    yield itemDraft(source, verified, verifier, { item, position, bodyHash, length: content.sent.length });
  }
}

function bodyDraft(
  source: SourceName,
  { delivery: named, proof }: Verified,
  { idOf, lastingPart, omitted = [] }: SenderCheck,
  { sent, plain, encoding, event, fault }: Body,
  bodyHash: Uint8Array,
): EventDraft {
  const delivery = named ?? shortId(event, idOf);
  const logged =
    event instanceof JsonObject ? new JsonObject(event.members.filter(([name]) => !omitted.includes(name))) : event;
  // The signature covers bytes: they are kept where the event does not give them back.
  const covered = proof.covers.includes('body') || event === null;
  const exact = event !== null && encoding === null && canonicalJson(event) === textOf(plain);
  const kept = covered && !exact && sent.length <= MAX_ENTRY_BYTES ? bytesMember(sent, encoding) : {};
  const body = { sha256: toHex(bodyHash), length: number(sent.length), ...(encoding === null ? {} : { encoding }) };
  const about = { ...header(source, delivery, { proof }), ...(fault === null ? {} : { reason: fault }) };
  const part = event === null ? null : (lastingPart?.(event) ?? null);
  const known = part === null ? bodyHash : sha256(utf8(canonicalJson(part)));
  const id = eventId('source', source.id, delivery ?? '', toHex(known));
  const forms = [
    { ...about, body: object({ ...body, ...kept }), ...(logged === null ? {} : { event: logged }) },
    { ...about, body: object(body), ...(logged === null ? {} : { event: logged }) },
  ];
  for (const [i, form] of forms.entries()) {
    const draft = eventDraft(canonicalJson(object(form)), id);
    if (draft.payload === null || (i > 0 && logged === null)) continue;
    return { ...draft, idCoversContent: true, ...(fault === null ? {} : { setAside: { reason: fault, kept: true } }) };
  }
  // Too large for an entry: its hash and length stand for it, with the signature.
  const line = canonicalJson(object({ ...about, reason: fault ?? 'too-large', body: object(body) }));
  return { ...eventDraft(line, id), idCoversContent: true, setAside: { reason: fault ?? 'too-large', kept: false } };
}

interface Item {
  readonly item: Uint8Array;
  readonly position: number;
  readonly bodyHash: Uint8Array;
  readonly length: number;
}

function itemDraft(
  source: SourceName,
  { delivery: named, proof }: Verified,
  { idOf }: SenderCheck,
  { item, position, bodyHash, length }: Item,
): EventDraft {
  let event: Json | null = null;
  let reason: SetAsideReason | null = null;
  try {
    event = readJson(item);
  } catch (error) {
    if (!(error instanceof ItemFault)) throw error;
    reason = error.reason;
  }
  const itemName = shortId(event, idOf);
  const delivery = itemName ?? named;
  const id =
    itemName === null
      ? eventId('source', source.id, named ?? '', toHex(bodyHash), String(position))
      : eventId('source', source.id, itemName, toHex(sha256(item)));
  const body = { sha256: toHex(bodyHash), length: number(length), item: number(position) };
  const about = header(source, delivery, { proof });
  const kept = { ...about, body: object(body), ...(event === null ? bytesMember(item, null) : { event }) };
  const draft = eventDraft(canonicalJson(object(reason === null ? kept : { ...kept, reason })), id);
  if (draft.payload !== null) {
    return { ...draft, idCoversContent: true, ...(reason === null ? {} : { setAside: { reason, kept: true } }) };
  }
  const hashed = object({ sha256: toHex(sha256(item)), length: number(item.length) });
  const line = canonicalJson(object({ ...about, reason: reason ?? 'too-large', body: object(body), item: hashed }));
  return { ...eventDraft(line, id), idCoversContent: true, setAside: { reason: reason ?? 'too-large', kept: false } };
}

/**
 * The elements of an array, or what stands on each line; null: the body is one item.
 * @throws FormatError `batch-too-large`
 */
function itemsOf({ plain, event }: Body): Uint8Array[] | null {
  const items: Uint8Array[] = [];
  const cursor = new JsonCursor(plain);
  if (Array.isArray(event) || (event === null && cursor.atArray)) {
    try {
      cursor.array(() => {
        items.push(cursor.value());
        checkEventCount(items.length);
      });
      cursor.end();
      return items;
    } catch (error) {
      if (error instanceof FormatError && error.code === 'json-invalid') return null;
      throw error;
    }
  }
  if (event !== null) return null;
  for (let begin = 0; begin < plain.length; ) {
    const newline = plain.indexOf(NEWLINE, begin);
    const end = newline < 0 ? plain.length : newline;
    if (!isBlank(plain, begin, end)) items.push(plain.subarray(begin, end));
    checkEventCount(items.length);
    begin = end + 1;
  }
  return items.length > 1 ? items : null;
}

/** What the sender calls an event; null where that is longer than an id is, so that every line has room for it. */
function shortId(event: Json | null, idOf: SenderCheck['idOf']): string | null {
  const id = event === null ? null : (idOf?.(event) ?? null);
  return id === null || id.length > MAX_ID_CHARACTERS ? null : id;
}

type Members = Readonly<Record<string, Json>>;

function header(source: SourceName, delivery: string | null, { proof }: Pick<Verified, 'proof'>): Members {
  const { vouched, covers, signature, time, details } = proof;
  return {
    antequem: 'received/v1',
    source: source.id,
    name: source.name,
    ...(delivery === null ? {} : { delivery }),
    signature: object({
      scheme: source.scheme,
      vouched: VOUCHERS[vouched],
      covers,
      ...(signature === undefined ? {} : { value: signature }),
      ...(time === undefined ? {} : { time }),
      ...details,
    }),
  };
}

/** Bytes as text where they are text: it reads and compresses better than base64. */
function bytesMember(bytes: Uint8Array, encoding: string | null): Members {
  const text = encoding === null ? textOf(bytes) : null;
  return text === null ? { bytes: toBase64(bytes) } : { text };
}

function textOf(bytes: Uint8Array): string | null {
  try {
    return decodeUtf8(bytes);
  } catch {
    return null;
  }
}

function object(members: Members): JsonObject {
  return new JsonObject(Object.entries(members).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function number(value: number): JsonNumber {
  return new JsonNumber(String(value));
}
