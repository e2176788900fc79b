import { mkdtempSync, rmSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LOCAL_POLICY, localAuthority } from '../../scripts/local/authority.ts';
import type { OpenApi, Schema } from '../../src/api/openapi.ts';
import { type Call, callArbitrary, checkOf } from '../support/openapi-arbitrary.ts';
import { type Answer, type TestService, testService } from '../support/service.ts';

const folder = mkdtempSync(join(tmpdir(), 'antequem-openapi-'));
// With a calendar and a timestamp authority, whose routes are there where they are.
const config = {
  calendar: { uri: 'http://127.0.0.1:3963', perMinute: 1_000_000 },
  ownAuthority: { ...localAuthority(folder, Date.now()), policy: LOCAL_POLICY, perMinute: 1_000_000 },
};

let service: TestService;
let document: OpenApi;
let webhook = '';
let source = '';

beforeAll(async () => {
  service = await testService({ config });
  document = JSON.parse((await service.send('GET', '/openapi.json')).text);
  await service.send('PUT', '/v1/logs/demo');
  const body = Array.from({ length: 80 }, (_, i) => JSON.stringify({ verb: 'get', number: i })).join('\n');
  await service.send('POST', '/v1/logs/demo/entries?split=lines', { body });
  await service.closeRound();
  await service.send('POST', '/v1/logs/demo/entries', { body: 'not in a round yet' });
  const made = await service.send('POST', '/v1/webhooks', { body: { url: 'https://hooks.example.com/a' } });
  webhook = String(made.at('id'));
  const sender = { name: 'sender', log: 'demo', scheme: 'event-grid' };
  source = String((await service.send('POST', '/v1/sources', { body: sender })).at('id'));
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const operations = (): { path: string; method: string }[] =>
  Object.entries(document.paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => ({ path, method })));

describe('the document', () => {
  it('has every route that the sources have', async () => {
    const folder = new URL('../../src/api/', import.meta.url);
    const files = (await readdir(folder)).filter((file) => file.endsWith('.ts'));
    const sources = await Promise.all(files.map((file) => readFile(new URL(file, folder), 'utf8')));
    const routes = sources.flatMap((source) =>
      [...source.matchAll(/\.(get|head|post|put|patch|delete|options|all)\(\s*'(\/[^']*)'/g)].map(
        ([, method, path = '']) => `${method} ${path.replace(/[:*](\w+)/g, '{$1}')}`,
      ),
    );
    expect(routes.length).toBeGreaterThan(35);
    expect(
      operations()
        .map(({ path, method }) => `${method} ${path}`)
        .sort(),
    ).toEqual(routes.sort());
  });

  it('has the methods that each path answers to', async () => {
    for (const path of Object.keys(document.paths)) {
      const target = path.replace('{location}', '0/000').replace(/\{\w+\}/g, '1');
      const { status, headers } = await service.send('PROPFIND', target);
      const methods = Object.keys(document.paths[path] ?? {}).flatMap((method) =>
        method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()],
      );
      expect([path, status, headers.get('allow')]).toEqual([path, 405, methods.sort().join(', ')]);
    }
  });

  it('is OpenAPI 3.1: ids are unique, references lead somewhere, path parameters are told', () => {
    expect(document.openapi).toBe('3.1.0');
    const ids = Object.values(document.paths).flatMap((methods) =>
      Object.values(methods).map(({ operationId }) => operationId),
    );
    expect(new Set(ids).size).toBe(ids.length);
    for (const [, name = ''] of JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)) {
      expect(document.components.schemas).toHaveProperty(name);
    }
    expect(JSON.stringify(document)).not.toContain('#/$defs');
    for (const { path, method } of operations()) {
      const told = document.paths[path]?.[method]?.parameters.filter((parameter) => parameter.in === 'path');
      expect(told?.map(({ name }) => name)).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
    }
    const tags = new Set(document.tags.map(({ name }) => name));
    for (const { path, method } of operations()) expect(tags).toContain(document.paths[path]?.[method]?.tags[0]);
  });

  it('is public, and so is its page, which needs nothing else and no script', async () => {
    await using closed = await testService({ open: false, config });
    const json = await closed.send('GET', '/openapi.json');
    expect([json.status, json.headers.get('access-control-allow-origin')]).toEqual([200, '*']);
    const page = await closed.send('GET', '/docs');
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    expect(page.headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; style-src 'sha256-[\w+/=]+'; base-uri 'none'/,
    );
    expect(page.text).not.toMatch(/<script|<link|<img|<iframe|@import|url\(|\son\w+=|\sstyle=/i);
    for (const [, target] of page.text.matchAll(/href="([^"]*)"/g)) expect(target).toMatch(/^(#|openapi\.json$)/);
    for (const [, anchor = ''] of page.text.matchAll(/href="#([^"]*)"/g)) expect(page.text).toContain(`id="${anchor}"`);
    for (const { path } of operations()) expect(page.text).toContain(`<code>${path}</code>`);
  });
});

describe('the service', () => {
  const checks = new Map<string, ReturnType<typeof checkOf>>();
  const check = (key: string, schema: Schema): ReturnType<typeof checkOf> => {
    const known = checks.get(key) ?? checkOf(schema, document);
    checks.set(key, known);
    return known;
  };

  /** A status that is documented, with a body of its type that fits. */
  function expectDocumented(call: Call, answer: Answer): void {
    const where = `${call.method} ${call.target} ${answer.status} ${answer.text.slice(0, 300)}`;
    const told = call.operation.responses[answer.status];
    expect(told === undefined ? where : null).toBeNull();
    const type = (answer.headers.get('content-type') ?? '').split(';', 1)[0] ?? '';
    const content = told?.content ?? {};
    if (answer.status === 204 || answer.status === 304 || Object.keys(content).length === 0) {
      expect(answer.bytes.length).toBe(0);
      return;
    }
    expect([where, Object.keys(content)]).toEqual([where, expect.arrayContaining([type])]);
    const { schema } = content[type] ?? {};
    if (type === 'application/problem+json') {
      const codes = /"enum":(\[[^\]]*\])/.exec(JSON.stringify(schema))?.[1] ?? '[]';
      expect([where, JSON.parse(codes)]).toEqual([where, expect.arrayContaining([answer.code])]);
      expect(check('problem', document.components.schemas.Problem ?? {}).safeParse(answer.json).error).toBeUndefined();
    } else if (schema !== undefined && type === 'application/json') {
      const { error } = check(`${call.operation.operationId} ${answer.status}`, schema).safeParse(answer.json);
      expect(error === undefined ? null : `${where}: ${error.message}`).toBeNull();
    }
  }

  const send = (call: Call, url = service): Promise<Answer> =>
    url.send(call.method, call.target, {
      headers: call.headers,
      ...(call.body === null ? {} : { body: typeof call.body === 'string' ? Buffer.from(call.body) : call.body }),
    });

  it('answers whatever is asked as the document says', async () => {
    const known = {
      log: ['demo', 'demo', '_system', 'absent'],
      // Many, for some of them get erased.
      index: Array.from({ length: 80 }, (_, i) => String(i)),
      number: ['1', '2'],
      webhook: [webhook],
      source: [source],
      location: ['0/000.p/80', '0/000', 'entries/000.p/80', '000.p/1', '001', '001.leaves/001'],
      // Else a receipt is waited for.
      wait: ['0'],
      digest: ['ab'.repeat(32)],
      from: ['0', '1'],
      to: ['2', '80'],
    };
    const calls = callArbitrary(document, known).filter(({ target }) => !/[?&]wait=(?!0\b)/.test(target));
    const seen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(calls, async (call) => {
        const answer = await send(call);
        expectDocumented(call, answer);
        expect(answer.status).toBeLessThan(500);
        seen.add(`${call.operation.operationId} ${answer.status < 300 ? 'fine' : 'refused'}`);
      }),
      { numRuns: 700, endOnFailure: true },
    );
    // It was no mere knocking on closed doors; which of them open is chance.
    const fine = [
      'appendEntries',
      'createLog',
      'describeLog',
      'exportEntries',
      'ingestOtlp',
      'listEntries',
      'listRounds',
      'readReceipt',
    ];
    expect(fine.filter((id) => seen.has(`${id} fine`)).length).toBeGreaterThanOrEqual(5);
    expect(service.logged()).not.toContain('request failed');
  });

  it('answers nobody without a key but where the document says so', async () => {
    await using closed = await testService({ open: false, config });
    const calls = callArbitrary(document, {});
    await fc.assert(
      fc.asyncProperty(calls, async (call) => {
        const answer = await send(call, closed);
        expectDocumented(call, answer);
        if (call.operation.security.length > 0) expect([400, 401]).toContain(answer.status);
      }),
      { numRuns: 150 },
    );
  });
});
