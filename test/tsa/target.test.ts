import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { receiptAnchors, roundAnchors } from '../../src/anchor/anchors.ts';
import { reportTargets } from '../../src/anchor/report.ts';
import { knownAnchors, parseReceipt } from '../../src/core/receipt.ts';
import { KINDS } from '../../src/kinds.ts';
import { authorityClient } from '../../src/tsa/authority-client.ts';
import { parseToken } from '../../src/tsa/token.ts';
import { verify } from '../../src/verify/verify.ts';
import { auditOf, codesOf } from '../audit/ground.ts';
import { auditDatabase } from '../support/audit.ts';
import { type Answer, REJECTION, type TestAuthority, testAuthority } from '../support/authority.ts';
import { testService } from '../support/service.ts';
import { authorityConfig, stampingGround } from '../support/stamping-ground.ts';
import { makeAuthority, makeCa, pem, purposes, TIME_STAMPING, type TokenOptions } from '../support/tsa.ts';

test('rounds are stamped, shown, measured, proven and audited by two authorities', async () => {
  await using first = await testAuthority('First TSA');
  await using second = await testAuthority('Second TSA');
  const authorities = [authorityConfig('one', first), authorityConfig('two', second)];
  const config = { roles: ['api' as const, 'worker' as const], roundInterval: 300, reconcileInterval: 500 };
  await using service = await testService({ config: { ...config, authorities } });
  expect((await service.send('PUT', '/v1/logs/demo')).status).toBe(201);
  await service.send('POST', '/v1/logs/demo/entries', { body: 'one' });
  const path = '/v1/logs/demo/entries/0/receipt';
  await service.send('GET', `${path}?wait=50&until=stamped`);
  await expect
    .poll(async () => knownAnchors(parseReceipt((await service.send('GET', path)).json)).length, { timeout: 120_000 })
    .toBe(2);
  const receipt = parseReceipt((await service.send('GET', path)).json);
  if (!('round' in receipt)) throw new Error('no round');
  expect(
    knownAnchors(receipt)
      .map((anchor) => ('authority' in anchor ? anchor.authority : ''))
      .sort(),
  ).toEqual(['CN=First TSA', 'CN=Second TSA']);

  // The verdict rests on the CAs that are trusted, and is the same by the API.
  const payload = Buffer.from('one');
  const proven = await verify({ proof: receipt, payload }, { authorities: [first.ca] });
  expect(proven).toMatchObject({ result: 'proven', existedBefore: { authority: 'CN=First TSA', tolerance: 60_000 } });
  const codes = proven.claims.filter(({ claim }) => claim === 'anchor').map(({ code }) => code);
  expect(codes.sort()).toEqual(['token-not-trusted', 'token-trusted']);
  expect((await verify({ proof: receipt, payload }, {})).result).toBe('unproven');
  const other = await verify({ proof: receipt, payload: Buffer.from('two') }, { authorities: [first.ca] });
  expect(other.result).toBe('refuted');
  const asked = async (more: object): Promise<unknown> => {
    const body = { receipt, payload: payload.toString('base64'), ...more };
    return (await service.send('POST', '/v1/verify', { body })).json;
  };
  expect(await asked({})).toMatchObject({ result: 'proven' });
  expect(await asked({ authorities: Buffer.from(second.ca).toString() })).toMatchObject({
    existedBefore: { authority: 'CN=Second TSA' },
  });
  const [ours, theirs] = [Buffer.from(first.ca).toString(), 'no certificate'];
  expect(await asked({ authorities: ours })).toMatchObject({ existedBefore: { authority: 'CN=First TSA' } });
  expect(await asked({ authorities: theirs })).toMatchObject({ code: 'certificate-invalid' });

  // Shown to operators.
  const { database } = service.foundation;
  const shown = z
    .object({ anchors: z.array(z.looseObject({ target: z.string() })) })
    .parse((await service.send('GET', `/v1/rounds/${receipt.round.number}`)).json);
  expect(shown.anchors).toMatchObject([
    { type: 'rfc3161', target: 'one', status: 'finalized', block: null, authority: 'CN=First TSA', accuracy: null },
    { type: 'rfc3161', target: 'two', status: 'finalized', block: null, authority: 'CN=Second TSA' },
  ]);
  expect(await reportTargets(KINDS, database, Date.now())).toMatchObject([
    { name: 'one', type: 'rfc3161', more: { where: 'tokens of CN=First TSA', lines: [] } },
    { name: 'two' },
  ]);
  expect((await service.send('GET', '/metrics')).text).toContain('antequem_authority_failures{target="one"} 0');

  // openssl takes the response for the root of the round, and for no other.
  const folder = mkdtempSync(join(tmpdir(), 'antequem-tsr-'));
  for (const [name, { ca }] of [['one', first] as const, ['two', second] as const]) {
    const answer = await service.send('GET', `${path}.tsr?authority=${name}`);
    expect(answer.headers.get('content-type')).toBe('application/timestamp-reply');
    writeFileSync(join(folder, 'r.tsr'), answer.bytes);
    writeFileSync(join(folder, 'ca.pem'), ca);
    const openssl = (root: string): string =>
      execFileSync('openssl', ['ts', '-verify', '-digest', root, '-in', 'r.tsr', '-CAfile', 'ca.pem'], {
        cwd: folder,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      });
    expect(openssl(receipt.round.root)).toContain('Verification: OK');
    expect(() => openssl('00'.repeat(32))).toThrow('message imprint mismatch');
  }
  rmSync(folder, { recursive: true });
  expect((await service.send('GET', `${path}.tsr?authority=three`)).json).toMatchObject({ code: 'token-absent' });

  // Both audits count the tokens of the CAs that are trusted.
  const how = { origin: service.origin, seed: null };
  const auditors = (trusted: readonly Uint8Array[]) => [
    auditDatabase(service.config.databaseUrl, { ...how, authorities: trusted }),
    auditOf({ at: service.url, authorities: trusted }),
  ];
  for (const audit of await Promise.all(auditors([first.ca, second.ca]))) {
    expect([audit.verdict.result, codesOf(audit)]).toEqual(['proven', []]);
    expect(audit.verdict.existedBefore).toMatchObject({ authority: expect.stringMatching(/^CN=(First|Second) TSA$/) });
  }
  for (const audit of await Promise.all(auditors([]))) {
    expect([audit.verdict.result, codesOf(audit)]).toEqual(['unproven', []]);
  }
});

const unlike = (bytes: Uint8Array): Uint8Array => bytes.map((byte) => byte ^ 1);
const hourAhead = (): string => new Date(Date.now() + 3_600_000).toISOString().replaceAll(/[-:T]/g, '');

interface Wrong {
  readonly instead?: Answer;
  readonly spoil?: (digest: Uint8Array) => Partial<TokenOptions>;
}

/** What an authority can do wrong, and what is told of it. */
const FAULTS: readonly [string, (authority: TestAuthority) => Wrong, string][] = [
  ['is down', () => ({ instead: { status: 503 } }), 'it answered with status 503'],
  ['redirects', ({ url }) => ({ instead: { status: 302, headers: { location: url } } }), 'it answered with status 302'],
  [
    'shows a page',
    () => ({ instead: { body: Buffer.from('<p>'), type: 'text/html' } }),
    'not application/timestamp-reply',
  ],
  ['labels junk as a reply', () => ({ instead: { body: Buffer.from('error') } }), 'is no timestamp response'],
  ['sends too much', () => ({ instead: { body: new Uint8Array(70_000) } }), 'more than 65536 bytes'],
  ['refuses', () => ({ instead: { body: REJECTION } }), 'it gave no token: rejected'],
  ['stamps another digest', () => ({ spoil: (digest) => ({ digest: unlike(digest) }) }), 'its token is about'],
  ['repeats another nonce', () => ({ spoil: () => ({ nonce: new Uint8Array([1]) }) }), 'does not repeat the nonce'],
  ['repeats no nonce', () => ({ spoil: () => ({ nonce: null }) }), 'does not repeat the nonce'],
  ['uses another policy', () => ({ spoil: () => ({ policy: '1.2.3.9' }) }), 'by the policy 1.2.3.9, not 1.2.3.4'],
  ['has a clock that is behind', () => ({ spoil: () => ({ time: '20231101000000Z' }) }), 'before the round was closed'],
  ['has a clock that is ahead', () => ({ spoil: () => ({ time: hourAhead() }) }), 'which has not come yet'],
  ['signs wrongly', () => ({ spoil: () => ({ spoilSignature: spoilt }) }), 'has a signature that does not hold'],
  ['names another certificate', () => ({ spoil: () => ({ named: new Uint8Array([5, 0]) }) }), 'ESSCertID'],
  ['brings no certificate', () => ({ spoil: () => ({ certificates: [] }) }), 'does not bring the certificate'],
  [
    'is of another CA',
    ({ validity }) => ({
      spoil: () => ({ signer: makeAuthority(makeCa({ subject: 'Other', ...validity }), validity) }),
    }),
    'no CA you trust vouches for',
  ],
  [
    'may not stamp',
    ({ issuer, validity }) => {
      const extensions = [purposes(false, TIME_STAMPING)];
      return { spoil: () => ({ signer: makeAuthority(issuer, { ...validity, extensions }) }) };
    },
    'not critical',
  ],
  ['has expired', ({ issuer }) => ({ spoil: () => ({ signer: makeAuthority(issuer, around(-2)) }) }), 'had expired'],
  [
    'is not valid yet',
    ({ issuer }) => ({ spoil: () => ({ signer: makeAuthority(issuer, around(2)) }) }),
    'was not valid yet',
  ],
];

const spoilt = (signature: Uint8Array): Uint8Array =>
  signature.map((byte, i) => (i === signature.length - 1 ? byte ^ 1 : byte));

/** An hour of validity, so many hours away. */
function around(hours: number): { from: number; to: number } {
  const middle = Date.now() + hours * 3_600_000;
  return { from: middle - 1_800_000, to: middle + 1_800_000 };
}

test('a wrong authority gives no anchor, says why, and holds nothing up; once right, it stamps', async () => {
  await using one = await testAuthority();
  await using good = await testAuthority('Good TSA');
  await using database = await stampingGround();
  const wrong = await database.target(one, { policy: '1.2.3.4' });
  const right = await database.target(good, { name: 'two' });
  for (const [name, make, says] of FAULTS) {
    const wrongs = make(one);
    one.instead = wrongs.instead ?? null;
    one.spoil = wrongs.spoil ?? (() => ({}));
    const round = await database.close();
    expect((await wrong.advance([round])).get(round), name).toBeTypeOf('number');
    expect([...(await right.advance([round]))], name).toEqual([[round, null]]);
    const [bad, fine] = await roundAnchors(KINDS, database.database, round);
    expect(bad, name).toMatchObject({ status: 'pending', problem: expect.stringContaining(says) });
    expect(fine, name).toMatchObject({ status: 'finalized', problem: null });
    const anchors = await receiptAnchors(KINDS, database.database, round);
    expect(
      anchors.map((anchor) => 'authority' in anchor && anchor.authority),
      name,
    ).toEqual(['CN=Good TSA']);
  }
  one.spoil = () => ({});
  one.instead = null;
  const rounds = await wrong.unfinished(100);
  expect(rounds).toHaveLength(FAULTS.length);
  await expect
    .poll(async () => [...(await wrong.advance(rounds)).values()].every((again) => again === null), {
      timeout: 120_000,
    })
    .toBe(true);
  expect(await wrong.unfinished(100)).toEqual([]);
});

test('openssl is an authority: its tokens are anchors, however late it answers', async () => {
  await using one = await testAuthority();
  await using good = await testAuthority('Good TSA');
  await using place = await stampingGround();
  const folder = mkdtempSync(join(tmpdir(), 'antequem-openssl-tsa-'));
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  write(
    'ts.cnf',
    `[tsa]\ndefault_tsa=t\n[t]\nserial=${folder}/serial\ndigests=sha256\ndefault_policy=1.2.3\nsigner_digest=sha256\n`,
  );
  write('signer.pem', pem(one.signer.certificate));
  write('signer.key', one.signer.key.export({ type: 'pkcs8', format: 'pem' }).toString());
  const reply = ['ts', '-reply', '-config', 'ts.cnf', '-signer', 'signer.pem', '-inkey', 'signer.key'];
  let answered: () => void = () => {};
  one.reply = async (query) => {
    writeFileSync(join(folder, 'query'), query);
    await new Promise<void>((resolve) => {
      answered = resolve;
    });
    execFileSync('openssl', [...reply, '-queryfile', 'query', '-out', 'answer'], { cwd: folder, stdio: 'ignore' });
    return new Uint8Array(readFileSync(join(folder, 'answer')));
  };
  const [slow, right] = [await place.target(one), await place.target(good, { name: 'two' })];
  const round = await place.close();
  const look = slow.advance([round]);
  await expect.poll(() => one.requests).toBe(1);
  // Nothing waits for it.
  expect([...(await right.advance([round]))]).toEqual([[round, null]]);
  answered();
  expect([...(await look)]).toEqual([[round, null]]);
  const anchors = await receiptAnchors(KINDS, place.database, round);
  expect(anchors.map((anchor) => ('authority' in anchor ? anchor.authority : '')).sort()).toEqual([
    'CN=Good TSA',
    'CN=Test TSA',
  ]);
  rmSync(folder, { recursive: true });
});

test('one that does not answer in time is given up, and the round is open', async () => {
  await using one = await testAuthority();
  await using place = await stampingGround();
  one.instead = 'silence';
  const target = await place.target(one, { client: authorityClient(50) });
  const round = await place.close();
  expect([...(await target.advance([round])).values()]).not.toContain(null);
  const [anchor] = await roundAnchors(KINDS, place.database, round);
  expect(anchor).toMatchObject({ status: 'pending', problem: 'it did not answer: it took more than 50 ms' });
});

test('an authority is asked by one process at a time, at its pace', async () => {
  await using one = await testAuthority();
  await using place = await stampingGround();
  let time = Date.now();
  const options = { pace: 15_000, now: () => time };
  const processes = [await place.target(one, options), await place.target(one, options)];
  const rounds = [await place.close(), await place.close(), await place.close()];
  const looks = await Promise.all(processes.map((process) => process.advance(rounds)));
  expect(one.requests).toBe(1);
  for (const look of looks)
    expect([...look.values()].filter((again) => again !== null).length).toBeGreaterThanOrEqual(2);
  await processes[0]?.advance(rounds);
  expect(one.requests).toBe(1);
  time += 15_000;
  await processes[1]?.advance(rounds);
  expect(one.requests).toBe(2);
  time += 15_000;
  await processes[0]?.advance(rounds);
  expect([one.requests, await processes[0]?.unfinished(9)]).toEqual([3, []]);
  const numbers = await Promise.all(
    rounds.map(async (round) => (await receiptAnchors(KINDS, place.database, round))[0]),
  );
  const tokens = numbers.flatMap((anchor) => (anchor?.type === 'rfc3161' ? [anchor.token] : []));
  expect(tokens.map((token) => [...parseToken(new Uint8Array(Buffer.from(token, 'base64'))).info.serial])).toEqual([
    [1],
    [2],
    [3],
  ]);
});
