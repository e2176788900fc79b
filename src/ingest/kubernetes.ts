import { excerpt } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { isBlank, NEWLINE } from '../core/lines.ts';
import { checkEventCount, type EventBatch, type EventDraft, eventDraft, eventId } from './event.ts';
import { ItemFault } from './item-fault.ts';
import { canonicalJson, type Json, JsonObject, readJson } from './json.ts';
import { JsonCursor } from './json-cursor.ts';
import { draftOrSetAside, setAside } from './set-aside.ts';

const AUDIT_VERSION = 'audit.k8s.io/v1';
const SOURCE = 'kubernetes-audit';

/** Kubernetes' own are UUIDs, but a request may bring its own in `Audit-ID`. */
const MAX_AUDIT_ID_LENGTH = 256;

const NUL = 0x00;

/**
 * The events of a body that the audit webhook of the Kubernetes API server sends: an EventList of audit.k8s.io/v1. Each
 * is one line of canonical JSON, named by auditID and stage.
 * @throws FormatError `json-invalid`, `event-list-invalid`, `batch-too-large`
 */
export function readAuditEvents(body: Uint8Array): EventBatch {
  const cursor = new JsonCursor(body);
  if (!cursor.atObject) {
    cursor.value();
    cursor.end();
    throw invalid('the body is no object');
  }
  const items: Uint8Array[] = [];
  const names = new Set<string>();
  const type: { kind?: string; apiVersion?: string } = {};
  let listed = false;
  cursor.object((name) => {
    if (names.has(name)) throw invalid(`it has two members named ${excerpt(name)}`);
    names.add(name);
    if (name === 'items') {
      // Go writes null for an empty list.
      if (cursor.takesNull()) listed = true;
      else if (cursor.atArray) {
        listed = true;
        cursor.array(() => {
          items.push(cursor.value());
          checkEventCount(items.length);
        });
      } else cursor.value();
      return;
    }
    const value = cursor.value();
    if (name === 'kind' || name === 'apiVersion') type[name] = text(value);
  });
  cursor.end();
  if (type.kind !== 'EventList' || type.apiVersion !== AUDIT_VERSION) {
    const found = `it is ${told(type.kind)} of ${told(type.apiVersion)}`;
    throw invalid(`${found}: have the API server send version ${AUDIT_VERSION}`);
  }
  if (!listed) throw invalid('items is no list');
  return { drafts: drafts(items, (bytes) => auditEvent(readJson(bytes))) };
}

/**
 * The events of an audit file that the API server's log backend wrote, one `kind: Event` a line. Without `kind` and
 * `apiVersion` their canonical JSON is that of the webhook's events. Blank lines are skipped; the NULs that a truncated
 * file begins with are an item of their own.
 * @throws FormatError `batch-too-large`
 */
export function readAuditFile(body: Uint8Array): EventBatch {
  const lines: Uint8Array[] = [];
  for (let begin = 0; begin < body.length; ) {
    const newline = body.indexOf(NEWLINE, begin);
    const end = newline < 0 ? body.length : newline;
    let text = begin;
    while (text < end && body[text] === NUL) text++;
    for (const line of [body.subarray(begin, text), body.subarray(text, end)]) {
      if (!isBlank(line)) lines.push(line);
    }
    checkEventCount(lines.length);
    begin = end + 1;
  }
  return { drafts: drafts(lines, (bytes) => auditEvent(withoutType(readJson(bytes)))) };
}

function* drafts(items: readonly Uint8Array[], read: (bytes: Uint8Array) => EventDraft): Generator<EventDraft> {
  for (const bytes of items) {
    if (bytes[0] === NUL) yield setAside('nul-hole', SOURCE, bytes);
    else
      yield draftOrSetAside(
        () => read(bytes),
        SOURCE,
        () => bytes,
      );
  }
}

/** @throws ItemFault `not-an-event`, `id-invalid` */
function auditEvent(item: Json): EventDraft {
  if (!(item instanceof JsonObject)) throw new ItemFault('not-an-event', 'an event that is no object');
  const id = item.get('auditID');
  const stage = item.get('stage');
  if (typeof id !== 'string' || id === '' || id.length > MAX_AUDIT_ID_LENGTH) {
    throw new ItemFault('id-invalid', `an auditID that is no string of 1 to ${MAX_AUDIT_ID_LENGTH} characters`);
  }
  if (typeof stage !== 'string' || !/^[A-Za-z]{1,64}$/.test(stage)) {
    throw new ItemFault('id-invalid', 'a stage that is not the name of one, such as ResponseComplete');
  }
  return eventDraft(canonicalJson(item), eventId(AUDIT_VERSION, id, stage));
}

/** @throws ItemFault `not-an-event` */
function withoutType(line: Json): Json {
  if (!(line instanceof JsonObject) || line.get('kind') !== 'Event' || line.get('apiVersion') !== AUDIT_VERSION) {
    throw new ItemFault('not-an-event', `a line that is no Event of ${AUDIT_VERSION}`);
  }
  return new JsonObject(line.members.filter(([name]) => name !== 'kind' && name !== 'apiVersion'));
}

/** A string of the envelope; empty for anything else. */
function text(bytes: Uint8Array): string {
  try {
    const value = readJson(bytes);
    return typeof value === 'string' ? value : '';
  } catch (error) {
    if (error instanceof ItemFault) return '';
    throw error;
  }
}

function told(value = ''): string {
  return value === '' ? 'nothing' : excerpt(value);
}

function invalid(why: string): FormatError {
  return new FormatError('event-list-invalid', `not an EventList of ${AUDIT_VERSION}: ${why}`);
}
