// What the audit webhook of the Kubernetes API server sends: the JSON that Go's encoder writes of
// k8s.io/apiserver/pkg/apis/audit/v1 (members in the order of the structs, <, > and & escaped, nothing indented, a newline
// at the end), in batches of the size it has by default.

import { createHash } from 'node:crypto';

/** `--audit-webhook-batch-max-size`. */
const BATCH = 400;

export interface AuditEvent {
  readonly auditID: string;
  readonly stage: string;
  /** As it stands in the list. */
  readonly json: string;
}

const VERBS = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete'] as const;
const USERS = [
  ['system:kube-scheduler', ['system:authenticated']],
  ['system:serviceaccount:kube-system:generic-garbage-collector', ['system:serviceaccounts', 'system:authenticated']],
  ['kubernetes-admin', ['kubeadm:cluster-admins', 'system:authenticated']],
] as const;

/** A UUID that depends on nothing but the number. */
function auditId(number: number): string {
  const hex = createHash('sha256').update(`request ${number}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** So many events: of each request its stages, one after the other. */
export function auditEvents(count: number): AuditEvent[] {
  const events: AuditEvent[] = [];
  for (let request = 0; events.length < count; request++) {
    const stages =
      request % 7 === 2
        ? ['RequestReceived', 'ResponseStarted', 'ResponseComplete']
        : ['RequestReceived', 'ResponseComplete'];
    for (const stage of stages.slice(0, count - events.length)) events.push(auditEvent(request, stage));
  }
  return events;
}

function auditEvent(request: number, stage: string): AuditEvent {
  const auditID = auditId(request);
  const verb = VERBS[request % VERBS.length];
  const [username, groups] = USERS[request % USERS.length] ?? USERS[0];
  const name = `web-${request % 50}`;
  const began = Date.UTC(2026, 0, 15, 8) + request * 37;
  const micro = (ms: number, stage: number): string =>
    new Date(ms).toISOString().replace('Z', `${String(stage).padStart(3, '0')}Z`);
  const complete = stage === 'ResponseComplete';
  const event = {
    level: complete && verb === 'update' ? 'RequestResponse' : 'Metadata',
    auditID,
    stage,
    requestURI: `/api/v1/namespaces/default/pods/${name}?fieldSelector=metadata.name<x&limit=500`,
    verb,
    user: {
      username,
      uid: `${request % 3}`,
      groups,
      extra: { 'authentication.kubernetes.io/credential-id': ['X509SHA256=ab'] },
    },
    sourceIPs: [`10.0.${request % 4}.${request % 250}`],
    userAgent: 'kube-scheduler/v1.33.1 (linux/amd64) kubernetes/8adc0f0/scheduler',
    objectRef: { resource: 'pods', namespace: 'default', name, apiVersion: 'v1' },
    ...(stage === 'RequestReceived' ? {} : { responseStatus: { metadata: {}, code: request % 11 === 0 ? 403 : 200 } }),
    ...(complete && verb === 'update'
      ? {
          requestObject: {
            kind: 'Pod',
            apiVersion: 'v1',
            metadata: { name, creationTimestamp: null },
            spec: { priority: 2000001000 },
          },
        }
      : {}),
    requestReceivedTimestamp: micro(began, 123),
    stageTimestamp: micro(began + (complete ? 4 : 0), 456),
    ...(stage === 'RequestReceived'
      ? {}
      : { annotations: { 'authorization.k8s.io/decision': 'allow', 'authorization.k8s.io/reason': 'RBAC: <system>' } }),
  };
  return { auditID, stage, json: goJson(event) };
}

/** The body of one request. */
export function eventList(events: readonly AuditEvent[]): string {
  return `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[${events.map(({ json }) => json).join(',')}]}\n`;
}

/** Cuts events into the batches that the API server makes of them. */
export function auditBatches(events: readonly AuditEvent[]): AuditEvent[][] {
  const batches: AuditEvent[][] = [];
  for (let at = 0; at < events.length; at += BATCH) batches.push(events.slice(at, at + BATCH));
  return batches;
}

/** A request as client-go makes it. */
export const AUDIT_HEADERS = {
  'content-type': 'application/json',
  accept: 'application/json, */*',
  'user-agent': 'kube-apiserver/v1.33.1 (linux/amd64) kubernetes/8adc0f0',
} as const;
export const AUDIT_QUERY = '?timeout=30s';

function goJson(value: unknown): string {
  return JSON.stringify(value).replace(/[<>&]/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`);
}
