// The command as a third party runs it: killed and resumed, and from a mirror when the service is no more.

import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatVerifierKey } from '../../../src/core/note.ts';
import { verdictSchema } from '../../../src/core/verdict-schema.ts';
import { deployAnchor } from '../../../src/evm/deploy.ts';
import { type Ran, run, start } from '../../cli/command.ts';
import { testChain } from '../../support/chain.ts';
import { forgeMirror, NEW_YEAR } from '../forged.ts';
import { anchorRounds, appendLines, seededService, temporaryFolder } from '../ground.ts';
import { openServer, sendFile } from '../liar.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;

beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

const antequem = (...args: string[]): Promise<Ran> => run(args, { cwd: folder.path });

describe('killed', () => {
  const ENTRIES = 60_000;

  beforeAll(() => {
    const rounds = [20_000, 40_000, 60_000].map((size) => ({ closedAt: NEW_YEAR + size, sizes: { large: size } }));
    forgeMirror(join(folder.path, 'large'), { logs: { large: ENTRIES, small: 10 }, rounds });
  });

  test.each([
    ['with a state', ['--state', 'state.json'], 'state.json'],
    ['with a mirror', ['--save', 'copy'], 'copy/state.json'],
  ])(
    '%s it goes on where it was',
    async (_, how, state) => {
      // Slow enough to be caught in the act.
      const server = await openServer((path, response) => {
        setTimeout(() => sendFile(join(folder.path, 'large'), path, response), /tile/.test(path) ? 50 : 0);
      });
      const file = join(folder.path, state);
      const size = (): number => JSON.parse(readFileSync(file, 'utf8')).logs.large?.position.size ?? 0;
      try {
        const child = start(['audit', '--url', server.url, ...how], { cwd: folder.path });
        const ended = once(child, 'exit');
        while ((!existsSync(file) || size() === 0) && child.exitCode === null) await sleep(5);
        child.kill('SIGKILL');
        expect(await ended).toEqual([null, 'SIGKILL']);
        const reached = size();
        expect(reached).toBeGreaterThan(0);
        expect(reached).toBeLessThan(ENTRIES);

        server.asked.length = 0;
        const ran = await antequem('audit', '--url', server.url, ...how, '--json');
        const verdict = verdictSchema.parse(JSON.parse(ran.stdout));
        expect([ran.code, verdict.result]).toEqual([2, 'unproven']);
        expect(verdict.claims.find(({ code }) => code === 'resumed')?.says).toContain(
          `${reached.toLocaleString('en')} entries before these`,
        );
        const bundles = server.asked.filter((path) => path.startsWith('logs/large/tile/entries/'));
        expect(bundles.length).toBeLessThan(Math.ceil((ENTRIES - reached) / 256) + 4);
        if (state !== 'copy/state.json') return;
        const copied = await antequem('audit', '--mirror', 'copy');
        expect([copied.code, copied.stdout.split('\n')[0]]).toEqual([2, expect.stringContaining('unproven')]);
      } finally {
        await server[Symbol.asyncDispose]();
      }
    },
    180_000,
  );
});

describe('when the service and its database are no more', () => {
  test('the mirror audits, and whoever has digest and nonce gets a receipt that verifies', async () => {
    await using chain = await testChain();
    await deployAnchor({ provider: chain.provider, signer: chain.wallet, dryRun: false });
    const old = join(folder.path, 'old.json');
    let key = '';
    let secret = { digest: '', nonce: '' };
    {
      await using service = await seededService(join(folder.path, 'seed'));
      await appendLines(service, 'demo', 600, 'demo');
      const early = await antequem('receipt', 'demo', '300', '--url', service.url, '-o', old);
      expect(early.code).toBe(0);
      await service.closeRound();
      await appendLines(service, 'demo', 5, 'late');
      await service.closeRound();
      await appendLines(service, 'demo', 1, 'in no round');
      await anchorRounds(service, chain.url);
      const entry = await service.send('GET', '/v1/logs/demo/entries/602');
      secret = { digest: String(entry.at('digest')), nonce: String(entry.at('nonce')) };
      key = String((await service.send('GET', '/v1/logs/demo')).at('verifierKey'));
      const saved = await antequem('audit', '--url', service.url, '--save', 'mirror', '--rpc', chain.url);
      expect([saved.code, saved.stdout.split('\n')[0]]).toEqual([0, expect.stringContaining('proven: no faults')]);
    }

    const audited = await antequem('audit', '--mirror', 'mirror', '--rpc', chain.url, '--json');
    expect([audited.code, verdictSchema.parse(JSON.parse(audited.stdout)).result]).toEqual([0, 'proven']);
    const given = ['--digest', secret.digest, '--nonce', secret.nonce];
    const fresh = await antequem('receipt', 'demo', '602', '--mirror', 'mirror', ...given, '-o', 'fresh.json');
    expect([fresh.code, fresh.stderr]).toEqual([0, expect.stringContaining('in round 2, anchored and final')]);
    const trust = ['--rpc', chain.url, '--key', key];
    const proven = await antequem('verify', 'fresh.json', '--line', 'late 2', ...trust);
    expect([proven.code, proven.stdout]).toEqual([0, expect.stringContaining('proven: existed before')]);

    const renewed = await antequem('receipt', 'demo', '300', '--mirror', 'mirror', '--receipt', old, '-o', 'new.json');
    expect(renewed.code).toBe(0);
    expect((await antequem('verify', 'new.json', '--line', 'demo 300', ...trust)).code).toBe(0);

    rmSync(join(folder.path, 'mirror', 'logs', 'demo', 'tile', '0', '001'));
    const missing = await antequem('audit', '--url', `file:${join(folder.path, 'mirror')}`);
    expect([missing.code, missing.stdout.split('\n')[0]]).toEqual([1, expect.stringContaining('Tile 0/1 of demo')]);
  }, 180_000);
});

describe('what cannot run', () => {
  test('an address that serves nothing accuses nobody', async () => {
    const nothing = createServer((_request, response) => response.writeHead(404).end()).listen(0, '127.0.0.1');
    await once(nothing, 'listening');
    const address = nothing.address();
    const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
    const key = formatVerifierKey('log.example/logs/demo', new Uint8Array(32).fill(1));
    for (const option of ['--url', '--mirror']) {
      const ran = await antequem('audit', option, url, '--key', key);
      expect([ran.code, ran.stderr]).toEqual([3, expect.stringContaining('serves no checkpoint of demo')]);
    }
    nothing.close();
  });

  test.each<[string, string[], string]>([
    ['a mirror and a service', ['--mirror', 'x', '--url', 'http://127.0.0.1:1'], 'give only one'],
    ['a mirror saved of nothing', ['--save', 'x'], 'need --url or --mirror'],
    ['a mirror with another state', ['--url', 'http://127.0.0.1:1', '--save', 'x', '--state', 'y'], 'its own state'],
    ['a folder that is no mirror', ['--mirror', '/'], 'no finished mirror'],
    ['another protocol', ['--url', 'ftp://127.0.0.1/'], 'not a folder or an http URL'],
  ])('%s: exit code 3', async (_, args, says) => {
    const ran = await antequem('audit', ...args);
    expect([ran.code, ran.stderr]).toEqual([3, expect.stringContaining(says)]);
  });
});
