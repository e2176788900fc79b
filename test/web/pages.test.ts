import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requestText, sendRaw } from '../support/raw-http.ts';
import { type TestService, testService } from '../support/service.ts';

describe('the pages as they are served', () => {
  let service: TestService;

  beforeAll(async () => {
    service = await testService({ open: false });
  });
  afterAll(() => service[Symbol.asyncDispose]());

  const between = (html: string, begin: string, end: string): string =>
    html.slice(html.indexOf(begin) + begin.length, html.lastIndexOf(end));
  const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

  it.each([
    ['/', "'self'"],
    ['/verify', 'http: https:'],
  ])('%s permits its own script and style and nothing else', async (path, connections) => {
    const { status, headers, text } = await service.send('GET', path);
    expect([status, headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    const policy = new Map(
      (headers.get('content-security-policy') ?? '').split('; ').map((directive) => {
        const [name = '', ...values] = directive.split(' ');
        return [name, values.join(' ')] as const;
      }),
    );
    expect(Object.fromEntries(policy)).toEqual({
      'default-src': "'none'",
      'script-src': hashOf(between(text, '<script>', '</script>')),
      'style-src': hashOf(between(text, '<style>', '</style>')),
      'worker-src': 'blob:',
      'img-src': 'data:',
      'connect-src': connections,
      'base-uri': "'none'",
      'form-action': "'none'",
      'frame-ancestors': "'none'",
      'require-trusted-types-for': "'script'",
      'trusted-types': 'antequem',
    });
    // Saved to disk it brings its policy along; who frames it a page cannot say itself.
    expect(text).toContain(
      `content="${headers.get('content-security-policy')?.replace("; frame-ancestors 'none'", '')}"`,
    );
    expect(text.match(/<script|<style|<link[^>]+stylesheet| style="| on\w+="/g)).toEqual(['<style', '<script']);
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
  });

  it('work below a path that a proxy takes away: no link and no request of theirs begins at the root', async () => {
    for (const path of ['/', '/verify', '/docs']) {
      const { text } = await service.send('GET', path);
      expect(text).toMatch(/v1\/|verify/);
      expect(text.match(/["'`]\/(v1|verify|docs|openapi|readyz|healthz|logs)\b[^"'`]{0,20}/g) ?? []).toEqual([]);
    }
  });

  it('are sent once', async () => {
    const etag = (await service.send('GET', '/verify')).headers.get('etag') ?? '';
    const ask = (headers: Record<string, string>) =>
      sendRaw(service.url, requestText('GET', '/verify', { Host: 'x', ...headers }));
    expect((await ask({ 'If-None-Match': etag })).status).toBe(304);
    expect((await ask({ 'If-None-Match': '"another"' })).status).toBe(200);
    expect((await ask({ 'Accept-Encoding': 'identity' })).text.includes('<!doctype html>')).toBe(true);
  });

  it('are the same to everybody', async () => {
    const { token } = await service.key(['admin']);
    const [anyone, somebody] = await Promise.all([service.send('GET', '/'), service.send('GET', '/', { token })]);
    expect(somebody.text).toBe(anyone.text);
    expect(anyone.text).not.toContain(service.origin);
  });
});
