import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { isPublicAddress, parseDestination, publicLookup, type Resolve } from '../../src/webhooks/destination.ts';
import { post } from '../../src/webhooks/post.ts';
import { openReceiver } from '../support/receiver.ts';

const never = new AbortController().signal;

describe('an address', () => {
  it.each([
    '1.1.1.1',
    '9.255.255.255',
    '11.0.0.0',
    '100.63.255.255',
    '100.128.0.0',
    '172.15.255.255',
    '172.32.0.0',
    '192.167.1.1',
    '223.255.255.255',
    '2606:4700::1111',
    '2a00::1',
    '2001:4860:4860::8888',
  ])('%s is public', (address) => expect(isPublicAddress(address)).toBe(true));

  it.each([
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '127.0.0.1',
    '127.255.255.255',
    '168.63.129.16',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.1',
    '192.0.2.1',
    '192.88.99.1',
    '192.168.0.1',
    '198.18.0.1',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:1.1.1.1',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b:1::1',
    '100::1',
    '2001::1',
    '2001:db8::1',
    '2002:7f00:1::1',
    '3fff::1',
    'fc00::1',
    'fd00:ec2::254',
    'fe80::1',
    'fe80::1%lo',
    '2a00::1%eth0',
    'fec0::1',
    'ff02::1',
    'localhost',
    '',
    '1.1.1',
  ])('%s is not', (address) => expect(isPublicAddress(address)).toBe(false));
});

describe('the URL of a webhook', () => {
  it.each([
    'https://hooks.example.org/a?b=c',
    'https://hooks.example.org:8443/',
    'https://1.1.1.1/',
    'https://[2a00::1]/',
  ])('%s will do', (url) => expect(parseDestination(url, false).href).toBe(url));

  it.each([
    ['nonsense', 'must be a URL'],
    ['http://hooks.example.org/', 'must begin with https://'],
    ['file:///etc/passwd', 'must begin with https://'],
    ['https://user@hooks.example.org/', 'must not contain'],
    ['https://:word@hooks.example.org/', 'must not contain'],
    ['https://hooks.example.org/#part', 'must not have a fragment'],
    ['https://127.0.0.1/', 'private'],
    ['https://127.1/', 'private'],
    ['https://0x7f.1/', 'private'],
    ['https://2130706433/', 'private'],
    ['https://017700000001/', 'private'],
    ['https://[::1]/', 'private'],
    ['https://[::ffff:7f00:1]/', 'private'],
    ['https://169.254.169.254/latest/meta-data', 'private'],
    ['https://１２７.0.0.1/', 'private'],
  ])('%s will not', (url, says) => {
    expect(() => parseDestination(url, false)).toThrow(expect.objectContaining({ code: 'webhook-url-invalid' }));
    expect(() => parseDestination(url, false)).toThrow(says);
  });

  it('has a bound', () => {
    expect(() => parseDestination(`https://hooks.example.org/${'x'.repeat(2_048)}`, false)).toThrow('2048 characters');
  });

  it('may be private where that is allowed, by HTTP as well', () => {
    expect(parseDestination('http://127.0.0.1:8080/a', true).port).toBe('8080');
    expect(() => parseDestination('ftp://127.0.0.1/', true)).toThrow('https://');
  });
});

describe('an attempt', () => {
  const options = { allowPrivate: true, patience: 500, signal: never };

  it('never reaches a private address, by number or by a name that leads there', async () => {
    const server = createServer();
    let connections = 0;
    server.on('connection', (socket) => {
      connections++;
      socket.destroy();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    for (const host of ['localhost', '127.0.0.1']) {
      const url = new URL(`http://${host}:${port}/`);
      await expect(post(url, {}, 'x', { ...options, allowPrivate: false })).rejects.toMatchObject({
        code: 'address-private',
      });
    }
    expect(connections).toBe(0);
    // That it would have been reached otherwise:
    await expect(post(new URL(`http://localhost:${port}/`), {}, 'x', options)).rejects.toMatchObject({
      code: 'receiver-unreachable',
    });
    expect(connections).toBeGreaterThan(0);
    server.close();
  });

  it('resolves a name once for each connection, and connects only to the checked address', async () => {
    await using receiver = await openReceiver();
    const url = new URL(receiver.url.replace('127.0.0.1', 'moving.test'));
    let asked = 0;
    // Such a name was public when the webhook was made.
    const resolve: Resolve = (_, done) => {
      asked++;
      done(null, [
        { address: '127.0.0.1', family: 4 },
        { address: '::1', family: 6 },
      ]);
    };
    await expect(post(url, {}, '{}', { ...options, allowPrivate: false, resolve })).rejects.toMatchObject({
      code: 'address-private',
    });
    expect([asked, receiver.received]).toEqual([1, []]);
  });

  it('gets only the public ones of several addresses', () => {
    const all = ['10.0.0.1', '1.1.1.1', '::1', '2606:4700::1111'].map((address) => ({
      address,
      family: address.includes(':') ? 6 : 4,
    }));
    const handed: unknown[] = [];
    const lookup = publicLookup((_, done) => done(null, all));
    lookup('mixed.test', { all: true }, (_, addresses) => void handed.push(addresses));
    lookup('mixed.test', {}, (_, address, family) => void handed.push(address, family));
    expect(handed).toEqual([[all[1], all[3]], '1.1.1.1', 4]);
  });

  it('follows no redirect', async () => {
    await using elsewhere = await openReceiver();
    await using receiver = await openReceiver();
    receiver.answer = (_, response) => void response.writeHead(307, { location: elsewhere.url }).end();
    expect((await post(new URL(receiver.url), {}, '{}', options)).status).toBe(307);
    expect(elsewhere.received).toHaveLength(0);
  });

  it('ends if the receiver switches to another protocol', async () => {
    await using receiver = await openReceiver();
    receiver.answer = (_, response) =>
      void response.writeHead(101, { connection: 'Upgrade', upgrade: 'websocket' }).end();
    await expect(post(new URL(receiver.url), {}, '{}', options)).rejects.toMatchObject({
      code: expect.stringMatching(/^receiver-/),
    });
  });

  it('ends in time if the receiver is silent, and reads little of a long answer', async () => {
    await using receiver = await openReceiver();
    receiver.answer = () => {};
    await expect(post(new URL(receiver.url), {}, '{}', options)).rejects.toMatchObject({ code: 'receiver-silent' });
    const ended = Promise.withResolvers<number>();
    receiver.answer = (_, response) => {
      let sent = 0;
      response.writeHead(200);
      const chunk = Buffer.alloc(64 << 10);
      const flood = (): void => {
        while (!response.destroyed && response.write(chunk)) sent += chunk.length;
        response.once('drain', flood);
      };
      response.on('close', () => ended.resolve(sent));
      flood();
    };
    expect((await post(new URL(receiver.url), {}, '{}', options)).status).toBe(200);
    expect(await ended.promise).toBeLessThan(64 << 20);
  });

  it('refuses endless headers', async () => {
    await using receiver = await openReceiver();
    receiver.answer = (_, response) => {
      response.socket?.write(`HTTP/1.1 200 OK\r\n${'X-More: of the same\r\n'.repeat(4_000)}`);
    };
    await expect(post(new URL(receiver.url), {}, '{}', options)).rejects.toMatchObject({
      code: 'receiver-unreachable',
    });
  });
});
