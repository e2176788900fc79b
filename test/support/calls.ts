import { createHash } from 'node:crypto';
import type { Scope } from '../../src/access/keys.ts';
import type { Answer, SendOptions, TestService } from './service.ts';

export const DIGEST = createHash('sha256').update('x').digest('hex');

/** A request to the log `mine`, and what it takes: a scope on that log, on all logs, any key of that log, any key, or nothing. */
export interface Call {
  readonly method: string;
  readonly path: string;
  readonly needs: Scope | 'any-key-of-it' | 'any-key' | 'nothing';
  readonly everyLog?: boolean;
  readonly body?: string | object;
}

export const CALLS: readonly Call[] = [
  { method: 'PUT', path: '/v1/logs/mine', needs: 'admin' },
  { method: 'GET', path: '/v1/logs', needs: 'read' },
  { method: 'GET', path: '/v1/logs/mine', needs: 'any-key-of-it' },
  { method: 'PUT', path: '/v1/logs/mine/listed', needs: 'admin', body: { listed: false } },
  { method: 'POST', path: '/v1/logs/mine/entries', needs: 'append', body: 'x' },
  { method: 'POST', path: '/v1/logs/mine/entries?split=lines', needs: 'append', body: 'x\ny' },
  { method: 'POST', path: '/v1/logs/mine/digests', needs: 'append', body: { digests: [DIGEST] } },
  { method: 'GET', path: '/v1/logs/mine/entries', needs: 'read' },
  { method: 'GET', path: '/v1/logs/mine/entries/0', needs: 'read' },
  { method: 'HEAD', path: '/v1/logs/mine/entries/0', needs: 'read' },
  { method: 'GET', path: '/v1/logs/mine/entries/0/payload', needs: 'read' },
  { method: 'GET', path: '/v1/logs/mine/entries/0/receipt', needs: 'read' },
  { method: 'GET', path: '/v1/logs/mine/entries/0/receipt.path', needs: 'read' },
  { method: 'GET', path: '/v1/logs/mine/entries/0/receipt.tlog-proof', needs: 'read' },
  { method: 'GET', path: '/v1/logs/mine/entries/0/receipt.cose', needs: 'read' },
  { method: 'GET', path: '/.well-known/scitt-keys', needs: 'nothing' },
  { method: 'GET', path: `/v1/entries?digest=${DIGEST}`, needs: 'read' },
  { method: 'GET', path: '/v1/rounds', needs: 'read', everyLog: true },
  { method: 'GET', path: '/v1/rounds/1', needs: 'read', everyLog: true },
  { method: 'POST', path: '/v1/verify', needs: 'any-key', body: { receipt: { format: 'antequem-receipt/v1' } } },
  { method: 'GET', path: '/v1/logs/mine/proofs/consistency?from=0&to=1', needs: 'nothing' },
  { method: 'GET', path: '/logs/mine/checkpoint', needs: 'nothing' },
  { method: 'GET', path: '/logs/mine/tile/0/000.p/1', needs: 'nothing' },
  { method: 'GET', path: '/logs/mine/tile/entries/000.p/1', needs: 'nothing' },
  // Not entry 0: that one is read and has a receipt above.
  { method: 'DELETE', path: '/v1/logs/mine/entries/1/payload', needs: 'admin' },
  { method: 'POST', path: '/v1/webhooks', needs: 'admin', everyLog: true, body: { url: 'https://hooks.example.org/' } },
  { method: 'GET', path: '/v1/webhooks', needs: 'admin', everyLog: true },
  { method: 'GET', path: '/metrics', needs: 'admin', everyLog: true },
  { method: 'GET', path: '/healthz', needs: 'nothing' },
  { method: 'GET', path: '/readyz', needs: 'nothing' },
];

/** Makes such a call. */
export const sendCall = (service: TestService, call: Call, options: SendOptions = {}): Promise<Answer> =>
  service.send(call.method, call.path, { ...options, ...(call.body === undefined ? {} : { body: call.body }) });

/** The same, each with a name. */
export const NAMED_CALLS = CALLS.map((call) => [`${call.method} ${call.path.replace(DIGEST, '…')}`, call] as const);
