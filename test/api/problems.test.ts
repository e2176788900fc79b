import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { problemOf } from '../../src/api/problem.ts';
import { AntequemError, FormatError } from '../../src/core/errors.ts';
import { type TestService, testService } from '../support/service.ts';

describe('what went wrong becomes a problem', () => {
  const coded = (code: string, message = 'secret detail'): Error => Object.assign(new Error(message), { code });

  it.each<[string, unknown, number, string]>([
    ['input', new FormatError('digest-invalid', 'no'), 400, 'digest-invalid'],
    ['a known refusal', new AntequemError('idempotency-key-reused', 'no'), 422, 'idempotency-key-reused'],
    ['input that breaks a format of ours', new FormatError('rlp-invalid', 'no'), 400, 'request-invalid'],
    ['a fault of ours', new AntequemError('internal', 'secret detail'), 500, 'internal'],
    ['a refusal that is no problem', new AntequemError('log-damaged', 'secret detail'), 500, 'internal'],
    ['an archive that is not configured', new AntequemError('archive-missing', 'secret'), 503, 'archive-unavailable'],
    ['an archive with other keys', new AntequemError('archive-refused', 'secret'), 503, 'archive-unavailable'],
    ['a refused connection', coded('ECONNREFUSED'), 503, 'database-unavailable'],
    ['a missing socket', coded('ENOENT'), 503, 'database-unavailable'],
    ['too many connections', coded('53300'), 503, 'database-unavailable'],
    ['a database shutting down', coded('57P01'), 503, 'database-unavailable'],
    ['a deadlock', coded('40P01'), 503, 'database-unavailable'],
    ['a constraint', coded('23505'), 500, 'internal'],
    ['a broken connection', new Error('Connection terminated unexpectedly'), 503, 'database-unavailable'],
    ['a full pool', new Error('timeout exceeded when trying to connect'), 503, 'database-unavailable'],
    ['a bug', new TypeError('secret detail'), 500, 'internal'],
    ['nonsense', 'secret detail', 500, 'internal'],
    ['nothing', undefined, 500, 'internal'],
  ])('%s', (_, error, status, code) => {
    const problem = problemOf(error);
    expect([problem.status, problem.code]).toEqual([status, code]);
    expect(problem.message).not.toContain('secret');
    expect(problem.headers['Retry-After']).toBe(status === 503 ? '3' : undefined);
  });
});

describe('a problem', () => {
  let service: TestService;
  beforeAll(async () => {
    service = await testService();
  });
  afterAll(() => service[Symbol.asyncDispose]());

  it('has the form of RFC 9457 and a code', async () => {
    const { json, headers } = await service.send('GET', '/v1/logs/nobody');
    expect(headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(json).toEqual({
      type: 'urn:antequem:problem:log-not-found',
      title: 'log not found',
      status: 404,
      code: 'log-not-found',
      detail: 'there is no log nobody: create it with PUT /v1/logs/nobody',
      requestId: headers.get('x-request-id'),
    });
  });

  it.each([
    ['DELETE', '/v1/logs', 'GET, HEAD'],
    ['POST', '/v1/logs', 'GET, HEAD'],
    ['DELETE', '/v1/logs/demo', 'GET, HEAD, PUT'],
    ['PUT', '/v1/logs/demo/entries', 'GET, HEAD, POST'],
    ['GET', '/v1/logs/demo/digests', 'POST'],
    ['PATCH', '/v1/logs/demo/entries/1', 'GET, HEAD'],
    ['POST', '/v1/logs/demo/entries/1/receipt', 'GET, HEAD'],
    ['POST', '/v1/entries', 'GET, HEAD'],
    ['PUT', '/v1/rounds/1', 'GET, HEAD'],
    ['GET', '/v1/verify', 'POST'],
    ['POST', '/healthz', 'GET, HEAD'],
    ['PROPFIND', '/logs/demo/checkpoint', 'GET, HEAD'],
  ])('tells that %s does not go at %s', async (method, path, allow) => {
    const answer = await service.send(method, path);
    expect([answer.status, answer.code, answer.headers.get('allow')]).toEqual([405, 'method-not-allowed', allow]);
  });

  it.each([
    '/index.html',
    '/v1',
    '/v2/logs',
    '/v1/logs/demo/entrie',
    '/v1/logs/demo/entries/1/receipt.png',
    '/robots.txt',
    '/.env',
    '/v1/logs/demo/proofs/inclusion',
  ])('tells that there is nothing at %s', async (path) => {
    const answer = await service.send('GET', path);
    expect([answer.status, answer.code]).toEqual([404, 'not-found']);
  });

  it('is no answer to HEAD, whose status says it', async () => {
    const head = await service.send('HEAD', '/v1/logs/nobody');
    expect([head.status, head.text]).toEqual([404, '']);
  });

  it('does not say what it is made with', async () => {
    const { headers } = await service.send('GET', '/nothing');
    expect(headers.get('x-powered-by')).toBeNull();
    expect(headers.get('server')).toBeNull();
  });
});
