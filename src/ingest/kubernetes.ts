import { excerpt } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { checkEventCount, type EventDraft, eventDraft } from './event.ts';
import { canonicalJson, type Json, JsonObject, readJson } from './json.ts';

const AUDIT_VERSION = 'audit.k8s.io/v1';

/** Kubernetes' own are UUIDs, but a request may bring its own in `Audit-ID`. */
const MAX_AUDIT_ID = 256;

/**
 * The events of a body that the audit webhook of the Kubernetes API server sends: an EventList of audit.k8s.io/v1. Each
 * is one line of canonical JSON, named by auditID and stage.
 * @throws FormatError `json-invalid`, `event-list-invalid`, `batch-too-large`
 */
export function readAuditEvents(body: Uint8Array): EventDraft[] {
  const list = readJson(body);
  if (!(list instanceof JsonObject)) throw invalid('the body is no object');
  const kind = list.get('kind');
  const version = list.get('apiVersion');
  if (kind !== 'EventList' || version !== AUDIT_VERSION) {
    throw invalid(`it is ${told(kind)} of ${told(version)}: have the API server send version ${AUDIT_VERSION}`);
  }
  const items = list.get('items');
  // What Go writes for a list that was never made.
  if (items === null) return [];
  if (!Array.isArray(items)) throw invalid('items is no list');
  checkEventCount(items.length);
  return items.map(auditEvent);
}

function auditEvent(item: Json, position: number): EventDraft {
  if (!(item instanceof JsonObject)) throw invalid(`items[${position}] is no object`);
  const id = item.get('auditID');
  const stage = item.get('stage');
  if (typeof id !== 'string' || id === '' || id.length > MAX_AUDIT_ID) {
    throw invalid(`items[${position}].auditID is no string of 1 to ${MAX_AUDIT_ID} characters`);
  }
  if (typeof stage !== 'string' || !/^[A-Za-z]{1,64}$/.test(stage)) {
    throw invalid(`items[${position}].stage is not the name of a stage, such as ResponseComplete`);
  }
  return eventDraft(canonicalJson(item), [AUDIT_VERSION, id, stage]);
}

function invalid(why: string): FormatError {
  return new FormatError('event-list-invalid', `not an EventList of ${AUDIT_VERSION}: ${why}`);
}

function told(value: Json | undefined): string {
  return typeof value === 'string' ? excerpt(value) : 'nothing';
}
