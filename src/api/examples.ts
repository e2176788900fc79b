// Every call of the API with curl and in JavaScript, for the reference.

import type { OperationObject } from './openapi.ts';

/** What an example sends beyond its path. */
interface Sample {
  readonly location?: string;
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly type?: string;
  readonly body?: string;
  /** Where curl writes an answer that is no text. */
  readonly file?: string;
}

const HASH = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';
const LINE = 'user 7 deleted invoice 1234';

const PARAMETERS: Readonly<Record<string, string>> = {
  log: 'demo',
  index: '0',
  number: '1',
  webhook: 'wh_0123456789abcdef',
  source: 'src_0123456789abcdef0123456789abcdef',
  commitment: HASH,
  hold: 'hold_0123456789abcdef0123456789abcdef',
};

const json = (value: object): Sample => ({ type: 'application/json', body: JSON.stringify(value) });

const OTLP = json({ resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: LINE } }] }] }] });

/** By the id of the operation. One that needs nothing but its path is not among them. */
const SAMPLES: Readonly<Record<string, Sample>> = {
  appendEntries: { type: 'text/plain', body: LINE },
  appendDigests: json({ digests: [HASH] }),
  auditActs: { location: '000.p/1' },
  auditRound: { location: '001' },
  ingestKubernetesAudit: json({
    kind: 'EventList',
    apiVersion: 'audit.k8s.io/v1',
    items: [{ auditID: '6f0c7a0e-5d8b-4a7e-9d53-0f6f0c2b8a11', stage: 'ResponseComplete', verb: 'delete' }],
  }),
  ingestCloudEvents: {
    type: 'application/cloudevents+json',
    body: JSON.stringify({ specversion: '1.0', id: '1', source: '/shop', type: 'order.paid', data: { order: 7 } }),
  },
  allowCloudEvents: { headers: { 'WebHook-Request-Origin': 'events.example.org' } },
  ingestOtlp: OTLP,
  ingestOtlpAtBase: OTLP,
  locateDigest: { query: `digest=${HASH}` },
  proveConsistency: { query: 'from=1&to=2' },
  readReceipt: { query: 'wait=60' },
  proveConsistencyCose: { query: 'from=1', file: 'consistency.cose' },
  readReceiptCose: { file: 'receipt.cose' },
  readScittKeys: { file: 'keys.cbor' },
  readReceiptOts: { file: 'receipt.ots' },
  readTile: { location: '0/000.p/1', file: 'tile' },
  readTimestamp: { file: 'timestamp' },
  stampDigest: { type: 'application/octet-stream', body: '32 bytes: a SHA-256 as it is, raw', file: 'timestamp' },
  setListed: json({ listed: true }),
  setRetention: json({ period: '400d' }),
  addHold: json({ from: '2025-01-01T00:00:00.000Z', to: '2025-07-01T00:00:00.000Z', reason: 'Case 7' }),
  confirmHolds: json({ holds: [] }),
  openSession: json({ token: 'aq_…' }),
  createSource: json({ name: 'hoop', log: 'demo', scheme: 'hoop' }),
  rotateSource: json({ keepSeconds: 86_400 }),
  deliverToSource: {
    type: 'application/json',
    headers: {
      'webhook-id': 'msg_1',
      'webhook-timestamp': '1795953600',
      'webhook-signature': 'v1,4Mm1xOLZh0ZDeyp8y7VZpTgDLTwPrxNRWQm/2N0Qd2M=',
    },
    body: JSON.stringify({ event_type: 'session.open' }),
  },
  allowSender: { headers: { 'WebHook-Request-Origin': 'eventgrid.azure.net' } },
  createWebhook: json({ url: 'https://hooks.example.org/antequem', events: ['anchor.finalized'] }),
  replayDeliveries: json({ status: 'dead' }),
};

export interface Example {
  readonly curl: string;
  readonly javascript: string;
}

/** @param base the address of the service, without a slash at its end */
export function exampleOf(base: string, method: string, path: string, operation: OperationObject): Example {
  if (operation.operationId === 'verifyReceipt') return verification(base);
  const sample = SAMPLES[operation.operationId] ?? {};
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => PARAMETERS[name] ?? sample.location ?? '');
  const url = `${base}${filled}${sample.query === undefined ? '' : `?${sample.query}`}`;
  const headers = { ...(sample.type === undefined ? {} : { 'content-type': sample.type }), ...sample.headers };
  const implied = sample.body === undefined ? 'GET' : 'POST';
  const curl = [
    'curl',
    ...(method === implied ? [] : [`-X ${method}`]),
    quoted(url),
    ...(sample.file === undefined ? [] : [`-o ${sample.file}`]),
    ...Object.entries(headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
    ...(sample.body === undefined ? [] : [`--data-binary ${quoted(sample.body)}`]),
  ].join(' ');
  const options = [
    ...(method === 'GET' ? [] : [`  method: '${method}',`]),
    ...(Object.keys(headers).length === 0 ? [] : [`  headers: ${JSON.stringify(headers)},`]),
    ...(sample.body === undefined ? [] : [`  body: ${bodyText(sample)},`]),
  ];
  const init = options.length === 0 ? '' : `, {\n${options.join('\n')}\n}`;
  return {
    curl,
    javascript: `const response = await fetch('${url}'${init});\nconsole.log(response.status, ${reading(operation)});`,
  };
}

function verification(base: string): Example {
  const receipt = `${base}/v1/logs/demo/entries/0/receipt`;
  const type = { 'content-type': 'application/json' };
  return {
    curl: `curl -s ${quoted(receipt)} | sed 's/.*/{"receipt":&}/' |\n  curl ${quoted(`${base}/v1/verify`)} -H 'content-type: application/json' --data-binary @-`,
    javascript: `const receipt = await (await fetch('${receipt}')).json();
const response = await fetch('${base}/v1/verify', {
  method: 'POST',
  headers: ${JSON.stringify(type)},
  body: JSON.stringify({ receipt }),
});
console.log(response.status, await response.json());`,
  };
}

/** A value for JSON is written as a value. */
function bodyText({ type, body = '' }: Sample): string {
  return type?.endsWith('json') === true ? `JSON.stringify(${body})` : `'${body}'`;
}

/** Reads the answer of a request that succeeds. */
function reading({ responses }: OperationObject): string {
  const successes = Object.entries(responses).filter(([status]) => status.startsWith('2'));
  const types = successes.map(([, { content = {} }]) => Object.keys(content)[0] ?? '');
  // What may come without a body cannot be read as JSON.
  const type = types.includes('') ? '' : types[0];
  if (type === 'application/json') return 'await response.json()';
  const isText = type === undefined || type === '' || type.startsWith('text/') || type === 'application/x-ndjson';
  return isText ? 'await response.text()' : 'new Uint8Array(await response.arrayBuffer())';
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
