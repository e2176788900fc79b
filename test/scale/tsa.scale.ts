import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { z } from 'zod';
import { LOCAL_POLICY, localAuthority } from '../../scripts/local/authority.ts';
import { receiptAnchors, roundAnchors } from '../../src/anchor/anchors.ts';
import { toHex, utf8 } from '../../src/core/bytes.ts';
import { knownAnchors, parseReceipt } from '../../src/core/receipt.ts';
import { KINDS } from '../../src/kinds.ts';
import { authorityClient } from '../../src/tsa/authority-client.ts';
import { Issuer } from '../../src/tsa/issuer.ts';
import { encodeRequest, parseRequest, type TimeStampRequest } from '../../src/tsa/request.ts';
import type { TsaTarget } from '../../src/tsa/target.ts';
import { parseResponse, parseToken } from '../../src/tsa/token.ts';
import { verify } from '../../src/verify/verify.ts';
import { type TestAuthority, testAuthority } from '../support/authority.ts';
import { goMissing } from '../support/omniwitness.ts';
import { OpensslAuthority } from '../support/openssl-authority.ts';
import { testDatabase } from '../support/postgres.ts';
import { testService } from '../support/service.ts';
import { startServiceChild } from '../support/service-child.ts';
import { SigstoreAuthority } from '../support/sigstore-authority.ts';
import { stampingGround } from '../support/stamping-ground.ts';
import {
  basic,
  type CertificateOptions,
  makeAuthority,
  makeCa,
  purposes,
  SIGNS,
  TIME_STAMPING,
  usage,
} from '../support/tsa.ts';

const folder = mkdtempSync(join(tmpdir(), 'antequem-tsa-'));
afterAll(() => rmSync(folder, { recursive: true }));
const run = promisify(execFile);
const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');

const REQUESTS = 1_000;
const CONNECTIONS = 8;

/** Works through numbers below `count`, so many side by side. */
async function sideBySide(count: number, work: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, lane));
}

test('a thousand requests by openssl over a kill: serials differ, and each token is in a round', async () => {
  await sideBySide(REQUESTS, async (n) => {
    const digest = sha256(Buffer.from(String(n)));
    await run('openssl', ['ts', '-query', '-digest', digest, '-sha256', '-cert', '-out', `${n}.tsq`], { cwd: folder });
  });
  const files = localAuthority(folder, Date.now());
  const database = await testDatabase();
  writeFileSync(join(folder, 'seed'), 'ab'.repeat(32));
  const environment = {
    DATABASE_URL: database.url,
    ORIGIN: 'log.test',
    LOG_SEED_FILE: join(folder, 'seed'),
    PORT: '0',
    ROUND_INTERVAL: '500ms',
    TSA_SERVE: 'on',
    TSA_SERVE_CERT_FILE: files.certFile,
    TSA_SERVE_KEY_FILE: files.keyFile,
    TSA_SERVE_POLICY: LOCAL_POLICY,
    TSA_SERVE_RATE: '1000000',
  };
  let service = await startServiceChild(environment);
  const tokens: Uint8Array[] = [];
  const ask = async (n: number): Promise<void> => {
    const response = await fetch(`${service.url}/tsa`, {
      method: 'POST',
      headers: { 'content-type': 'application/timestamp-query' },
      body: readFileSync(join(folder, `${n}.tsq`)),
    });
    const read = parseResponse(new Uint8Array(await response.arrayBuffer()));
    if (read.granted) tokens.push(read.token);
  };
  const cpu = async (): Promise<number> => {
    const text = await (await fetch(`${service.url}/metrics`)).text();
    return Number(/^\w*process_cpu_seconds_total (\S+)/m.exec(text)?.[1]);
  };
  const [began, before] = [performance.now(), await cpu()];
  await sideBySide(REQUESTS / 2, ask);
  const rate = (REQUESTS / 2 / (performance.now() - began)) * 1_000;
  const each = (((await cpu()) - before) / (REQUESTS / 2)) * 1_000;
  // Some are under way when it is killed.
  const interrupted = sideBySide(CONNECTIONS, (n) => ask(REQUESTS / 2 + n).catch(() => {}));
  await service.kill();
  await interrupted;
  service = await startServiceChild(environment);
  await sideBySide(REQUESTS / 2 - CONNECTIONS, (n) => ask(REQUESTS / 2 + CONNECTIONS + n));
  const serials = tokens.map((token) => toHex(parseToken(token).info.serial));
  expect(new Set(serials).size).toBe(tokens.length);
  expect(tokens.length).toBeGreaterThanOrEqual(REQUESTS - CONNECTIONS);
  const form = z.object({ state: z.string(), newestRound: z.object({ closedAt: z.string() }).nullable() });
  const look = async (token: Uint8Array) =>
    form.parse(await (await fetch(`${service.url}/v1/tsa/${sha256(token)}`)).json());
  for (const token of tokens) await expect.poll(async () => (await look(token)).state).toBe('logged');

  // One made with the same key, past the service: once a round closed after its time, it is shown not to be logged.
  const stray = new Issuer({
    certificates: readFileSync(files.certFile),
    key: readFileSync(files.keyFile),
    policy: LOCAL_POLICY,
    now: Date.now,
    random: (length) => new Uint8Array(length).fill(1),
    clockAhead: async () => 0,
    log: async () => {},
  });
  const digest = new Uint8Array(32);
  const answer = parseResponse(
    await stray.answer(encodeRequest({ digest, nonce: new Uint8Array(8).fill(1), policy: null })),
  );
  if (!answer.granted) throw new Error(answer.says);
  const time = parseToken(answer.token).info.time.ms;
  await ask(0);
  await expect.poll(async () => Date.parse((await look(answer.token)).newestRound?.closedAt ?? '') > time).toBe(true);
  expect((await look(answer.token)).state).toBe('not-logged');
  await service.stop();
  await database.drop();

  const config = ['[tsa]', 'default_tsa=t', '[t]', `serial=${folder}/serial`, 'digests=sha256', 'default_policy=1.2.3'];
  writeFileSync(join(folder, 'ts.cnf'), `${config.join('\n')}\nsigner_digest=sha256\ness_cert_id_alg=sha256\n`);
  const alone = performance.now();
  for (let n = 0; n < 50; n++) {
    const signer = ['-signer', files.certFile, '-inkey', files.keyFile];
    execFileSync('openssl', ['ts', '-reply', '-config', 'ts.cnf', '-queryfile', `${n}.tsq`, ...signer, '-out', 'r'], {
      cwd: folder,
      stdio: 'ignore',
    });
  }
  const openssl = 50_000 / (performance.now() - alone);
  const measured = execFileSync('openssl', ['speed', '-seconds', '1', 'ecdsap256'], {
    encoding: 'utf8',
    stdio: 'pipe',
  });
  const [, signatures = '?'] = /nistp256\)\s+\S+\s+\S+\s+([\d.]+)/.exec(measured) ?? [];
  const ours = `${rate.toFixed(0)} tokens/s, each durable, ${each.toFixed(2)} ms of CPU for each`;
  console.log(
    `own authority: ${ours}; openssl ts -reply: ${openssl.toFixed(0)}/s; openssl speed: ${signatures} signatures/s`,
  );
}, 600_000);

test.skipIf(goMissing !== null)(
  "sigstore's authority and another stamp every round, also while one is down",
  async () => {
    await using sigstore = await SigstoreAuthority.start();
    await using other = await testAuthority('Another TSA');
    const common = { policy: null, pace: 0, ephemeral: false };
    const authorities = [
      { ...common, name: 'sigstore', url: sigstore.url, certificates: sigstore.ca },
      { ...common, name: 'other', url: other.url, certificates: other.ca },
    ];
    const config = {
      roles: ['api' as const, 'worker' as const],
      roundInterval: 300,
      reconcileInterval: 500,
      authorities,
    };
    await using service = await testService({ config });
    await service.send('PUT', '/v1/logs/demo');
    for (let n = 0; n < 10; n++) {
      other.instead = n % 2 === 1 ? { status: 503 } : null;
      await service.send('POST', '/v1/logs/demo/entries', { body: `line ${n}` });
      await service.send('GET', `/v1/logs/demo/entries/${n}/receipt?wait=50&until=stamped`);
    }
    other.instead = null;
    for (let n = 0; n < 10; n++) {
      const read = async () => parseReceipt((await service.send('GET', `/v1/logs/demo/entries/${n}/receipt`)).json);
      await expect.poll(async () => knownAnchors(await read()).length, { timeout: 300_000 }).toBe(2);
      const payload = Buffer.from(`line ${n}`);
      for (const ca of [sigstore.ca, other.ca]) {
        expect((await verify({ proof: await read(), payload }, { authorities: [ca] })).result).toBe('proven');
      }
      const answer = await service.send('GET', `/v1/logs/demo/entries/${n}/receipt.tsr?authority=sigstore`);
      writeFileSync(join(folder, 's.tsr'), answer.bytes);
      writeFileSync(join(folder, 's.pem'), sigstore.ca);
      const receipt = await read();
      const root = 'round' in receipt ? receipt.round.root : '';
      const args = ['ts', '-verify', '-digest', root, '-in', 's.tsr', '-CAfile', 's.pem'];
      expect(execFileSync('openssl', args, { cwd: folder, encoding: 'utf8' })).toContain('OK');
    }
  },
  900_000,
);

const unlike = (bytes: Uint8Array): Uint8Array => bytes.map((byte) => byte ^ 1);
const POLICY = '1.2.3.4.1';
const OTHER_POLICY = '1.2.3.4.5.6';

/** What stands between our target and an authority: it changes the request, or what comes of it. */
type Between = (query: Uint8Array, ask: (query: Uint8Array) => Promise<Response>) => Promise<Uint8Array | Response>;
const bytesOf = async (response: Response): Promise<Uint8Array> => new Uint8Array(await response.arrayBuffer());
const changed =
  (change: (request: TimeStampRequest) => Partial<TimeStampRequest>): Between =>
  (query, ask) => {
    const { digest, nonce, policy } = parseRequest(query);
    const request = { digest, nonce: nonce ?? new Uint8Array(8), policy };
    return ask(encodeRequest({ ...request, ...change(request) }));
  };
const straight: Between = (query, ask) => ask(query);

/** What goes wrong between us and a true authority, and what is told of it; null: the round is stamped. */
const WRONGS: readonly [string, Between, { openssl: string | null; sigstore: string | null }][] = [
  ['nothing', straight, { openssl: null, sigstore: null }],
  [
    'another imprint',
    changed(({ digest }) => ({ digest: unlike(digest) })),
    { openssl: 'its token is about', sigstore: 'its token is about' },
  ],
  [
    'another nonce',
    changed(({ nonce }) => ({ nonce: nonce.map((byte) => byte ^ 3) })),
    { openssl: 'does not repeat the nonce', sigstore: 'does not repeat the nonce' },
  ],
  [
    'another policy',
    changed(() => ({ policy: OTHER_POLICY })),
    {
      openssl: `by the policy ${OTHER_POLICY}, not ${POLICY}`,
      sigstore: 'it answered with status 400',
    },
  ],
  [
    'an unknown policy',
    changed(() => ({ policy: '1.9.9' })),
    { openssl: 'it gave no token: rejected', sigstore: 'it answered with status 400' },
  ],
  [
    'junk instead of the request',
    (_, ask) => ask(utf8('junk')),
    { openssl: 'it gave no token', sigstore: 'it answered with status 400' },
  ],
  [
    'a token that was cut',
    async (query, ask) => (await bytesOf(await ask(query))).subarray(0, 400),
    { openssl: 'no timestamp response', sigstore: 'no timestamp response' },
  ],
  [
    'a changed signature',
    async (query, ask) => {
      const answer = await bytesOf(await ask(query));
      return answer.map((byte, i) => (i === answer.length - 1 ? byte ^ 1 : byte));
    },
    { openssl: 'signature that does not hold', sigstore: 'signature that does not hold' },
  ],
  [
    'too slow an answer',
    async (query, ask) => {
      const answer = await ask(query);
      await sleep(3_000);
      return answer;
    },
    { openssl: 'it took more than 2000 ms', sigstore: 'it took more than 2000 ms' },
  ],
];

const HOUR_MS = 3_600_000;
const within = (hours: number): { from: number; to: number } => {
  const middle = Date.now() + hours * HOUR_MS;
  return { from: middle - HOUR_MS / 2, to: middle + HOUR_MS / 2 };
};
const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';

/** Certificates of an authority that lack a property: what openssl makes of them as an authority, and what we say of their tokens. */
const CERTIFICATES: readonly [string, Partial<CertificateOptions>, { openssl: string; token: string }][] = [
  [
    'no extended key usage',
    { extensions: [basic(false), usage(SIGNS)] },
    { openssl: 'gave no token', token: 'proves nothing' },
  ],
  [
    'not critical',
    { extensions: [purposes(false, TIME_STAMPING)] },
    { openssl: 'gave no token', token: 'not critical' },
  ],
  [
    'another usage',
    { extensions: [purposes(true, CODE_SIGNING)] },
    { openssl: 'gave no token', token: 'proves nothing' },
  ],
  [
    'two usages',
    { extensions: [purposes(true, TIME_STAMPING, CODE_SIGNING)] },
    { openssl: 'gave no token', token: 'proves nothing' },
  ],
  [
    'no signing',
    { extensions: [usage(0x20), purposes(true, TIME_STAMPING)] },
    { openssl: 'gave no token', token: 'proves nothing' },
  ],
  ['expired', within(-2), { openssl: 'had expired', token: 'had expired' }],
  ['not valid yet', within(2), { openssl: 'was not valid yet', token: 'was not valid yet' }],
];

test.skipIf(goMissing !== null)(
  'what openssl (tsa.py) and sigstore do, with what goes wrong between us and them, and with certificates that lack a property',
  async () => {
    await using sigstore = await SigstoreAuthority.start();
    await using front = await testAuthority('Front of openssl');
    await using other = await testAuthority('Front of sigstore');
    await using own = await testAuthority('Made on the spot');
    await using place = await stampingGround();
    const validity = { from: Date.now() - HOUR_MS, to: Date.now() + 24 * HOUR_MS };
    const good = makeAuthority(front.issuer, { subject: 'openssl', ...validity });
    const client = authorityClient(2_000);
    const at = (name: string, { url }: TestAuthority, ca: Uint8Array, policy: string | null = null) =>
      place.target({ url, ca }, { name, client, policy });
    const byOpenssl = await at('a-openssl', front, front.ca, POLICY);
    const bySigstore = await at('b-sigstore', other, sigstore.ca);
    const byOwn = await at('c-own', own, own.ca);
    const direct = await place.target({ url: sigstore.url, ca: sigstore.ca }, { name: 'd-right' });
    const table: string[][] = [];

    /** What becomes of a round at these targets, while the right one stamps it. */
    const outcome = async (...targets: TsaTarget[]): Promise<Record<string, string | null>> => {
      const round = await place.close();
      const looks = targets.map((target) => target.advance([round]));
      // Nothing waits for what is wrong.
      expect([...(await direct.advance([round]))]).toEqual([[round, null]]);
      await Promise.all(looks);
      const anchors = await roundAnchors(KINDS, place.database, round);
      const found = Object.fromEntries(
        anchors.map(({ target, status, problem }) => [target, status === 'finalized' ? null : String(problem)]),
      );
      const stamped = Object.values(found).filter((problem) => problem === null).length;
      expect(await receiptAnchors(KINDS, place.database, round)).toHaveLength(stamped);
      return found;
    };
    const told = (found: string | null | undefined): string => found ?? 'stamped';

    await using openssl = await OpensslAuthority.start(good);
    const askSigstore = (query: Uint8Array): Promise<Response> => {
      const headers = { 'content-type': 'application/timestamp-query' };
      return fetch(sigstore.url, { method: 'POST', headers, body: new Uint8Array(query) });
    };
    for (const [what, between, expected] of WRONGS) {
      front.reply = (query) => between(query, (sent) => openssl.ask(sent));
      other.reply = (query) => between(query, askSigstore);
      const found = await outcome(byOpenssl, bySigstore);
      table.push([what, told(found['a-openssl']), told(found['b-sigstore'])]);
      for (const [name, says] of [
        ['a-openssl', expected.openssl],
        ['b-sigstore', expected.sigstore],
      ] as const) {
        expect([what, name, says === null ? found[name] : told(found[name]).includes(says) || found[name]]).toEqual([
          what,
          name,
          says === null ? null : true,
        ]);
      }
    }
    const between = makeCa({ subject: 'Between', issuer: front.issuer, ...validity });
    await using chained = await OpensslAuthority.start(makeAuthority(between, { subject: 'below', ...validity }), [
      between,
    ]);
    front.reply = (query) => chained.ask(query);
    const below = await outcome(byOpenssl);
    table.push(['a CA between, in the token', told(below['a-openssl']), '']);
    expect(below['a-openssl']).toBeNull();
    await chained.stop();
    const gone = await place.target({ url: chained.url, ca: front.ca }, { name: 'e-gone', client });
    const down = await outcome(gone);
    table.push(['its process is gone', told(down['e-gone']), '']);
    expect(down['e-gone']).toContain('it did not answer');

    for (const [what, options, expected] of CERTIFICATES) {
      const lacking = { ...validity, ...options };
      await using authority = await OpensslAuthority.start(
        makeAuthority(front.issuer, { subject: 'openssl', ...lacking }),
      );
      front.reply = (query) => authority.ask(query);
      own.spoil = () => ({ signer: makeAuthority(own.issuer, lacking) });
      const found = await outcome(byOpenssl, byOwn);
      table.push([`certificate: ${what}`, told(found['a-openssl']), `made on the spot: ${told(found['c-own'])}`]);
      expect([what, told(found['a-openssl'])]).toEqual([what, expect.stringContaining(expected.openssl)]);
      expect([what, told(found['c-own'])]).toEqual([what, expect.stringContaining(expected.token)]);
    }
    console.log(
      ['what is wrong | openssl (tsa.py) | sigstore 2.1.3', ...table.map((row) => row.join(' | '))].join('\n'),
    );
  },
  900_000,
);
