// The examples for proxies, checked by the proxies themselves, and the service behind them.

import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { MAX_EVENT_BODY_BYTES } from '../../src/ingest/event.ts';
import { freePort } from '../support/free-port.ts';
import { type TestService, testService } from '../support/service.ts';

/** Seconds that a request waits. */
const WAIT = Number(process.env.PROXY_WAIT ?? '1');

interface Proxy {
  readonly name: string;
  /** How to see whether it is installed. */
  readonly probe: readonly string[];
  readonly example: string;
  /** The example as it is, but for its certificates and addresses: what the proxy says of it. */
  readonly check: (example: string, folder: string) => Promise<{ status: number | null; output: string }>;
  /** Without TLS on a port of loopback, before a service on another. */
  readonly start: (example: string, folder: string, port: number, service: number) => Promise<ChildProcess>;
}

const nginx: Proxy = {
  name: 'nginx',
  probe: ['nginx', '-v'],
  example: 'nginx.conf',
  check: async (example, folder) => {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=x'];
    execFileSync('openssl', [...made, '-keyout', key, '-out', cert], { stdio: 'ignore' });
    // It would bind the ports: these it may.
    const site = example
      .replaceAll(/\/etc\/ssl\/certs\/\S+(?=;)/g, cert)
      .replaceAll(/\/etc\/ssl\/private\/\S+(?=;)/g, key)
      .replaceAll('listen [::]:443', `listen unix:${join(folder, 'socket')}`)
      .replaceAll('listen 443', `listen 127.0.0.1:${await freePort()}`);
    const { status, stderr } = spawnSync('nginx', ['-t', '-c', await nginxConfig(folder, site)], { encoding: 'utf8' });
    return { status, output: stderr };
  },
  start: async (example, folder, port, service) => {
    const site = example
      .replaceAll('listen 443 ssl http2', `listen 127.0.0.1:${port}`)
      .replaceAll(/^ *(?:listen \[::\].*|ssl_.*);\n/gm, '')
      .replaceAll('127.0.0.1:3963', `127.0.0.1:${service}`);
    return spawn('nginx', ['-c', await nginxConfig(folder, site), '-g', 'daemon off;'], { stdio: 'ignore' });
  },
};

async function nginxConfig(folder: string, site: string): Promise<string> {
  const file = join(folder, 'nginx.conf');
  await mkdir(join(folder, 'temporary'), { recursive: true });
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${join(folder, 'temporary', kind)};`,
  );
  await writeFile(
    file,
    `${process.getuid?.() === 0 ? 'user root;' : ''} pid ${join(folder, 'pid')}; error_log ${join(folder, 'error.log')};
     events {} http { access_log off; ${temporary.join(' ')}\n${site}}`,
  );
  return file;
}

const caddyEnv = (folder: string) => ({ ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder });

const caddy: Proxy = {
  name: 'Caddy',
  probe: ['caddy', 'version'],
  example: 'Caddyfile',
  check: async (example, folder) => {
    const file = join(folder, 'Caddyfile');
    await writeFile(file, example);
    const args = ['validate', '--adapter', 'caddyfile', '--config', file];
    const { status, stdout, stderr } = spawnSync('caddy', args, { encoding: 'utf8', env: caddyEnv(folder) });
    return { status, output: stdout + stderr };
  },
  start: async (example, folder, port, service) => {
    const file = join(folder, 'Caddyfile');
    const sites = example
      .replaceAll(/^((?:log\.)?example\.org) \{/gm, `http://$1:${port} {`)
      .replaceAll('127.0.0.1:3963', `127.0.0.1:${service}`);
    await writeFile(file, `{\n\tadmin off\n\tauto_https off\n}\n${sites}`);
    const args = ['run', '--adapter', 'caddyfile', '--config', file];
    return spawn('caddy', args, { stdio: 'ignore', env: caddyEnv(folder) });
  },
};

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

/** Host, as fetch does not let one say it. */
function ask(port: number, host: string, path: string, { method = 'GET', headers = {}, body }: Asked = {}) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const asking = request(
      { host: '127.0.0.1', port, path, method, headers: { ...headers, host } },
      async (response) => {
        let text = '';
        for await (const chunk of response) text += chunk;
        resolve({ status: response.statusCode ?? 0, text });
      },
    );
    asking.on('error', reject);
    asking.end(body);
  });
}

const PATIENCE = { timeout: 30_000 };

describe.each([nginx, caddy])('$name', (proxy) => {
  const found = spawnSync(proxy.probe[0] ?? '', proxy.probe.slice(1)).error === undefined;
  // In CI a missing proxy fails the tests.
  const missing = !found && process.env.CI !== 'true';
  let example: string;
  let folder: string;
  let service: TestService;
  let child: ChildProcess;
  let port: number;
  let key: Readonly<Record<string, string>>;

  beforeAll(async () => {
    if (missing) return;
    folder = await mkdtemp(join(tmpdir(), 'antequem-proxy-'));
    example = await readFile(new URL(`../../deploy/proxy/${proxy.example}`, import.meta.url), 'utf8');
    const calendar = { uri: 'https://log.example.org', perMinute: 1 };
    service = await testService({ open: false, config: { trustedProxies: ['loopback'], calendar } });
    port = await freePort();
    child = await proxy.start(example, folder, port, Number(new URL(service.url).port));
    const { token } = await service.key(['admin', 'append', 'read']);
    key = { authorization: `Bearer ${token}` };
    while (
      await ask(port, 'log.example.org', '/healthz').then(
        () => false,
        () => true,
      )
    )
      await sleep(20);
    const made = await ask(port, 'log.example.org', '/v1/logs/demo', { method: 'PUT', headers: key });
    expect(made.status).toBe(201);
  });
  afterAll(async () => {
    child?.kill('SIGTERM');
    await service?.[Symbol.asyncDispose]();
    if (folder !== undefined) await rm(folder, { recursive: true });
  });

  it.skipIf(missing)('takes the example, and would not take any', async () => {
    const checked = await proxy.check(example, folder);
    expect([checked.output, checked.status]).toEqual([expect.any(String), 0]);
    expect((await proxy.check(example.replace('log.example.org', '}'), folder)).status).not.toBe(0);
  });

  it.skipIf(missing)('hands on what has a host of its own, and what is below a path', async () => {
    expect(await ask(port, 'log.example.org', '/readyz')).toMatchObject({ status: 200 });
    expect(await ask(port, 'example.org', '/antequem/readyz')).toMatchObject({ status: 200 });
    expect(await ask(port, 'example.org', '/antequem/v1/logs/demo', { headers: key })).toMatchObject({ status: 200 });
    expect(await ask(port, 'example.org', '/antequem/logs/demo/checkpoint')).toMatchObject({ status: 200 });
    expect((await ask(port, 'example.org', '/antequem/')).text).toContain('<html');
    const hidden = [
      ['log.example.org', '/metrics'],
      ['example.org', '/antequem/metrics'],
    ] as const;
    for (const [host, path] of hidden) {
      const { status, text } = await ask(port, host, path, { headers: key });
      expect([status, text.includes('antequem')]).toEqual([404, false]);
    }
  });

  it.skipIf(missing)('takes large bodies, and hands on the refusal of the largest without permission', async () => {
    const path = '/v1/logs/demo/ingest/cloudevents';
    const type = { 'content-type': 'application/cloudevents-batch+json', prefer: 'return=representation' };
    const event = (id: string) =>
      `{"specversion":"1.0","id":"${id}","source":"/x","type":"y","data":"${'z'.repeat(6 << 20)}"}`;
    const body = `[${event('1')},${event('2')}]`;
    const headers = { ...key, ...type };
    const answer = await ask(port, 'log.example.org', path, { method: 'POST', headers, body });
    expect([answer.status, answer.text]).toEqual([200, expect.stringMatching(/"count":2\b/)]);
    const largest = new Uint8Array(MAX_EVENT_BODY_BYTES);
    // Who refuses at once closes while the client still writes, which then may miss the answer.
    const refused = await vi.waitFor(
      () => ask(port, 'example.org', `/antequem${path}`, { method: 'POST', body: largest }),
      PATIENCE,
    );
    expect([refused.status, refused.text]).toEqual([401, expect.stringContaining('"unauthorized"')]);
    const more = new Uint8Array(MAX_EVENT_BODY_BYTES + 1);
    const tooLarge = await vi.waitFor(
      () => ask(port, 'log.example.org', path, { method: 'POST', headers, body: more }),
      PATIENCE,
    );
    expect(tooLarge.status).toBe(413);
  });

  it.skipIf(missing)('waits with a request that waits', async () => {
    await ask(port, 'log.example.org', '/v1/logs/demo/entries', { method: 'POST', headers: key, body: 'x' });
    const at = performance.now();
    const { status } = await ask(port, 'log.example.org', `/v1/logs/demo/entries/2/receipt?wait=${WAIT}`, {
      headers: key,
    });
    expect([status, performance.now() - at > WAIT * 900]).toEqual([200, true]);
  });

  it.skipIf(missing)('says who asks, whatever the client says of itself', async () => {
    const stamp = (from: string) =>
      ask(port, 'log.example.org', '/digest', { method: 'POST', body: from, headers: { 'x-forwarded-for': from } });
    expect((await stamp('192.0.2.1')).status).toBe(200);
    expect((await stamp('192.0.2.2')).status).toBe(429);
  });
});
