// Witnesses after C2SP tlog-witness: the real service, and small real witnesses with a state of their own.

import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { fromHex, utf8 } from '../../src/core/bytes.ts';
import { formatWitnessKey, parseWitnessKey } from '../../src/core/cosignature.ts';
import { consistencyRanges } from '../../src/core/merkle.ts';
import { type Policy, parsePolicy } from '../../src/core/policy.ts';
import { TileStore } from '../../src/log/tilestore.ts';
import { verifyTlogProof } from '../../src/verify/tlog-proof.ts';
import { feedWitnesses } from '../../src/witness/feed.ts';
import { offerCheckpoint } from '../../src/witness/offer.ts';
import { WitnessProblems } from '../../src/witness/problems.ts';
import { compareShown } from '../../src/witness/shown.ts';
import { Witnesses } from '../../src/witness/witnesses.ts';
import { silent } from '../support/anchoring.ts';
import type { TestService } from '../support/service.ts';
import type { TestWitness } from '../support/witness.ts';
import { append, published, WitnessGround } from './ground.ts';

const until = (check: () => Promise<void> | void): Promise<void> =>
  vi.waitFor(check, { timeout: 120_000, interval: 100 });
const notices = async (service: TestService): Promise<string> =>
  JSON.stringify((await service.send('GET', '/readyz')).at('notices'));

const metrics = async (service: TestService): Promise<string> => (await service.send('GET', '/metrics')).text;

describe('a witness', () => {
  let ground: WitnessGround;
  let witness: TestWitness;
  let service: TestService;

  beforeAll(async () => {
    ground = await WitnessGround.open();
    witness = await ground.witness('witness.example/north');
    service = await ground.service({});
  });
  beforeEach(() => {
    witness.requests.length = 0;
    witness.delay = 0;
  });
  afterAll(() => ground[Symbol.asyncDispose]());

  test('cosigns every checkpoint as the log grows, each time from the one before', async () => {
    const vkey = await ground.log(service, 'grown');
    const sizes = [1, 2, 3, 7, 8, 9, 255, 256, 257, 600];
    let before = 0;
    for (const size of sizes) {
      await append(service, 'grown', size - before, `to ${size}`);
      expect(await published(service, 'grown', vkey, [witness])).toEqual({ size, by: [witness.name] });
      expect(witness.requests.at(-1)).toMatchObject({ status: 200, body: expect.stringMatching(`^old ${before}\n`) });
      before = size;
    }
    expect(witness.requests).toHaveLength(sizes.length);
    // Nothing new: the same bytes, and nobody is asked.
    const { text } = await service.send('GET', '/logs/grown/checkpoint');
    expect((await service.send('GET', '/logs/grown/checkpoint')).text).toBe(text);
    expect(witness.requests).toHaveLength(sizes.length);
    // The witness shows the same to monitors.
    const hash = createHash('sha256').update('log.test/logs/grown').digest('hex');
    expect(await (await fetch(`${witness.url}/${hash}/checkpoint`)).text()).toBe(text);
  });

  test('cosigns the empty log', async () => {
    const vkey = await ground.log(service, 'empty');
    expect(await published(service, 'empty', vkey, [witness])).toEqual({ size: 0, by: [witness.name] });
    await append(service, 'empty', 1);
    expect(await published(service, 'empty', vkey, [witness])).toEqual({ size: 1, by: [witness.name] });
  });

  test('that has many concurrent requests is asked in turn, and all get its cosignature', async () => {
    const vkey = await ground.log(service, 'crowded');
    witness.delay = 30;
    for (let i = 0; i < 5; i++) {
      const answers = Array.from({ length: 6 }, async (_, n) => {
        if (n % 2 === 0) await append(service, 'crowded', 1, `${i} ${n}`);
        return published(service, 'crowded', vkey, [witness]);
      });
      for (const { by } of await Promise.all(answers)) expect(by).toEqual([witness.name]);
    }
    expect(witness.requests.every(({ status }) => status === 200)).toBe(true);
    expect(witness.requests.length).toBeLessThanOrEqual(15);
  });

  test('answers 409 if another process was first, and then gets a proof from its size', async () => {
    const vkey = await ground.log(service, 'shared');
    await append(service, 'shared', 3);
    await published(service, 'shared', vkey, [witness]);
    await append(service, 'shared', 2);
    // Another process publishes, is answered, and dies before it keeps the answer.
    const { publisher, registry, database } = service.foundation;
    const log = await registry.find('shared');
    if (log === null) throw new Error('no log');
    const { note } = await publisher.current(log);
    const path = await new TileStore(database).ranges(log, consistencyRanges(3, 5), 5);
    const address = { key: parseWitnessKey(witness.vkey), url: witness.url };
    const answer = await offerCheckpoint(address, { old: 3, size: 5, path, note }, AbortSignal.timeout(20_000));
    expect(answer).toMatchObject({ kind: 'cosigned' });
    // The same checkpoint again: the witness says the same of it.
    expect(await published(service, 'shared', vkey, [witness])).toEqual({ size: 5, by: [witness.name] });
    expect(witness.requests.map(({ status }) => status)).toEqual([200, 200, 409, 200]);
    expect(witness.requests.at(-1)?.body).toMatch(/^old 5\n\nlog\.test/);
  });

  test('that has lost its state starts from nothing', async () => {
    const vkey = await ground.log(service, 'forgotten');
    await append(service, 'forgotten', 300);
    await published(service, 'forgotten', vkey, [witness]);
    await rm(witness.state);
    await append(service, 'forgotten', 5);
    expect(await published(service, 'forgotten', vkey, [witness])).toEqual({ size: 305, by: [witness.name] });
    expect(witness.requests.map(({ status }) => status)).toEqual([200, 409, 200]);
  });

  test('keeps what it cosigned over a restart', async () => {
    const vkey = await ground.log(service, 'restarted');
    await append(service, 'restarted', 3);
    await published(service, 'restarted', vkey, [witness]);
    await witness.stop();
    await witness.start();
    await append(service, 'restarted', 3);
    expect(await published(service, 'restarted', vkey, [witness])).toEqual({ size: 6, by: [witness.name] });
    expect(witness.requests.map(({ status }) => status)).toEqual([200, 200]);
  });
});

describe('a witness with a key of ML-DSA-44', () => {
  test('counts for the quorum beside one of Ed25519, and its cosignature is stored, shown and verified', async () => {
    await using ground = await WitnessGround.open();
    const old = await ground.witness('witness.example/ed25519');
    const witness = await ground.witness('witness.example/ml-dsa', 'ml-dsa-44');
    const service = await ground.service({});
    const vkey = await ground.log(service, 'signed');
    for (const size of [1, 2, 300]) {
      await append(service, 'signed', size === 300 ? 298 : 1, `to ${size}`);
      expect(await published(service, 'signed', vkey, [old, witness])).toEqual({ size, by: [old.name, witness.name] });
    }
    const payload = utf8('to 300 7');
    const { text: proof } = await service.send('GET', '/v1/logs/signed/entries/9/receipt.tlog-proof');
    const said = (text: string, policy: Policy): string | undefined =>
      verifyTlogProof({ proof: text, payload }, { policy }).claims.find(({ code }) => code.startsWith('witness'))?.code;
    const policy = ground.policy('all', [vkey]);
    expect(said(proof, policy)).toBe('witnesses-enough');
    const [line = ''] = /^— witness.example\/ml-dsa .*$/m.exec(proof) ?? [];
    const flipped = line.replace(/.{9}$/, (end) => (end.startsWith('A') ? 'B' : 'A') + end.slice(1));
    expect(said(proof.replace(line, flipped), policy)).toBe('witness-signature-broken');
    expect(said(proof.replace(`${line}\n`, ''), policy)).toBe('witnesses-too-few');
    // A key of a type that nobody knows yet refuses nothing, and does not count.
    const future = formatWitnessKey('future.example/w', new Uint8Array(900), 0x20);
    const lines = ground.witnesses.map(({ vkey: key }, i) => `witness W${i} ${key}`);
    for (const [needed, code] of [
      [2, 'witnesses-enough'],
      [3, 'witnesses-too-few'],
    ] as const) {
      const mixed = [`log ${vkey}`, ...lines, `witness F ${future}`, `group G ${needed} W0 W1 F`, 'quorum G', ''];
      const { claims } = verifyTlogProof({ proof, payload }, { policy: parsePolicy(utf8(mixed.join('\n'))) });
      expect(claims.find((claim) => claim.code === code)?.says).toContain('so they do not count: F.');
    }
  });
});

describe('what a witness shows', () => {
  test('is compared with the log: a fork that the log itself signed is told, and nothing else', async () => {
    await using ground = await WitnessGround.open();
    const witness = await ground.witness('witness.example/north');
    const service = await ground.service({});
    const vkey = await ground.log(service, 'shown');
    await append(service, 'shown', 4, 'one history');
    await published(service, 'shown', vkey, [witness]);
    const fork = await ground.service({}, service);
    await ground.log(fork, 'shown');
    const options = { ...service.foundation, now: Date.now, logger: silent };
    const [pursued] = ground.policy('all').witnesses;
    if (pursued === undefined) throw new Error('no witness');
    const look = (): Promise<number> =>
      compareShown({ ...pursued, url: witness.url }, options, AbortSignal.timeout(120_000));
    const problems = async (): Promise<string[]> => {
      await look();
      const found = await new WitnessProblems(service.foundation.database).of([pursued]);
      return found.map(({ code, says }) => `${code}: ${says}`);
    };
    const shows = async (count: number): Promise<void> => {
      await rm(witness.state, { force: true });
      await append(fork, 'shown', count, 'another history');
      await published(fork, 'shown', vkey, [witness]);
    };
    expect(await problems()).toEqual([]);
    await shows(3);
    expect(await problems()).toEqual([
      expect.stringContaining(
        'witness-shows-fork: it shows a checkpoint of 3 entries, signed by the log, with another root',
      ),
    ]);
    // It goes on cosigning our history: the alarm stays.
    await append(service, 'shown', 2, 'more');
    await rm(witness.state);
    await published(service, 'shown', vkey, [witness]);
    await until(async () =>
      expect(await metrics(service)).toContain('antequem_witness_problems{witness="W0",code="witness-shows-fork"} 1'),
    );
    await shows(5);
    expect(await problems()).toEqual([
      expect.stringContaining(
        'witness-shows-more: it shows a checkpoint of 8 entries, signed by the log, which has 6 here',
      ),
    ]);
    // A checkpoint that the log did not sign, no checkpoint, and none at all accuse nobody.
    await append(service, 'shown', 1, 'still more');
    await rm(witness.state);
    await published(service, 'shown', vkey, [witness]);
    expect(await problems()).toEqual([]);
    const state = await readFile(witness.state, 'utf8');
    for (const wrong of [
      state.replace('— log.test/logs/shown ', '— log.test/logs/other '),
      state.replace('— ', '- '),
    ]) {
      await writeFile(witness.state, wrong);
      expect(await problems()).toEqual([]);
    }
    await witness.stop();
    expect(await problems()).toEqual([]);
  });

  test('is compared for the other logs where it does not answer for one, and goes on from there if it answers for none', async () => {
    await using ground = await WitnessGround.open();
    const witness = await ground.witness('witness.example/north');
    const service = await ground.service({});
    const fork = await ground.service({}, service);
    const names = Array.from({ length: 10 }, (_, i) => `log-${i}`);
    const begun: { name: string; vkey: string }[] = [];
    for (const name of names) begun.push({ name, vkey: await ground.log(service, name) });
    await Promise.all(
      begun.map(async ({ name, vkey }) => {
        await append(service, name, 3, 'one history');
        await published(service, name, vkey, [witness]);
      }),
    );
    const forge = async (name: string): Promise<void> => {
      const vkey = await ground.log(fork, name);
      await append(fork, name, 2, 'another history');
      await published(fork, name, vkey, [witness]);
    };
    await rm(witness.state);
    for (const name of ['log-0', 'log-1', 'log-9']) await forge(name);
    const [pursued] = ground.policy('all').witnesses;
    if (pursued === undefined) throw new Error('no witness');
    const { database } = service.foundation;
    const options = { ...service.foundation, now: Date.now, logger: silent };
    const look = async (from?: number): Promise<{ next: number; told: string[] }> => {
      const next = await compareShown({ ...pursued, url: witness.url }, options, AbortSignal.timeout(120_000), from);
      const found = await new WitnessProblems(database).of([pursued]);
      return { next, told: found.flatMap(({ code, log }) => (code === 'witness-shows-fork' ? [log] : [])).sort() };
    };
    witness.hidden.add('log.test/logs/log-0');
    expect(await look()).toEqual({ next: 0, told: ['log.test/logs/log-1', 'log.test/logs/log-9'] });

    await database.query('DELETE FROM witness_problems');
    await witness.stop();
    const { next, told } = await look();
    expect(told).toEqual([]);
    expect(next).toBe((await service.foundation.registry.find('log-7'))?.id);
    await witness.start();
    expect(await look(next)).toEqual({ next: 0, told: ['log.test/logs/log-9'] });
  });
});

describe('a fork', () => {
  test('is refused by the witness, published without it, and withheld if so configured', async () => {
    await using ground = await WitnessGround.open();
    const witness = await ground.witness('witness.example/north');
    const service = await ground.service({});
    const vkey = await ground.log(service, 'forked');
    await append(service, 'forked', 4, 'one history');
    await published(service, 'forked', vkey, [witness]);

    const other = await ground.service({}, service);
    expect(await ground.log(other, 'forked')).toBe(vkey);
    await append(other, 'forked', 3, 'another history');
    expect(await published(other, 'forked', vkey, [witness])).toEqual({ size: 3, by: [] });
    expect(await notices(other)).toContain(
      'the witness W0 does not cosign log.test/logs/forked: it has cosigned 4 entries of log.test/logs/forked, of which ' +
        '3 are published here: check whether the database was restored from an old copy',
    );

    for (const [more, size] of [
      [4, 4],
      [9, 9],
    ] as const) {
      const fork = await ground.service({ missing: 'hold' }, service);
      await ground.log(fork, 'forked');
      await append(fork, 'forked', more, 'a third history');
      const { status, code, headers } = await fork.send('GET', '/logs/forked/checkpoint');
      expect([status, code, headers.get('retry-after')]).toEqual([503, 'checkpoint-not-witnessed', '3']);
      expect(witness.requests.map((request) => request.status).slice(-2)).toEqual([409, 422]);
      expect(await notices(fork)).toContain(
        'it answers 422: the checkpoint does not continue the 4 entries it has cosigned',
      );
      expect(witness.requests.at(-1)?.body).toContain(`\nlog.test/logs/forked\n${size}\n`);
    }
    expect(witness.size('log.test/logs/forked')).toBe(4);
    expect(await published(service, 'forked', vkey, [witness])).toEqual({ size: 4, by: [witness.name] });
  });
});

describe('a witness that is unreachable', () => {
  test('is waited for no longer than the timeout, asked again later, and catches up', async () => {
    await using ground = await WitnessGround.open();
    const witness = await ground.witness('witness.example/north');
    const service = await ground.service({ timeout: 300 });
    const vkey = await ground.log(service, 'patient');
    await append(service, 'patient', 3);
    witness.fault = 'silent';
    expect(await published(service, 'patient', vkey, [witness])).toEqual({ size: 3, by: [] });
    expect(witness.requests).toHaveLength(1);
    witness.fault = null;
    // The request that hangs ends with the connection.
    await witness.stop();
    await append(service, 'patient', 3);
    await until(async () => expect(await notices(service)).toContain('the witness W0 does not cosign'));
    expect(await published(service, 'patient', vkey, [witness])).toEqual({ size: 6, by: [] });
    await witness.start();
    await until(async () =>
      expect(await published(service, 'patient', vkey, [witness])).toEqual({ size: 6, by: [witness.name] }),
    );
    await until(async () => expect(await notices(service)).not.toContain('witness'));
  });

  test('delays no append and no round, and requests that wait for it continue when it dies', async () => {
    await using ground = await WitnessGround.open();
    const witness = await ground.witness('witness.example/north');
    const service = await ground.service({ timeout: 600_000 });
    const vkey = await ground.log(service, 'appended');
    await append(service, 'appended', 1);
    witness.fault = 'silent';
    let answered = false;
    const waiting = published(service, 'appended', vkey, [witness]).then((checkpoint) => {
      answered = true;
      return checkpoint;
    });
    await until(() => expect(witness.requests).toHaveLength(1));
    await append(service, 'appended', 5);
    expect((await service.closeRound())?.number).toBe(1);
    const receipt = await service.send('GET', '/v1/logs/appended/entries/5/receipt');
    expect([receipt.status, receipt.at('round', 'number')]).toEqual([200, 1]);
    expect(answered).toBe(false);
    await witness.stop();
    expect(await waiting).toEqual({ size: 1, by: [] });
  });

  test('does not keep the others from reaching the quorum', async () => {
    await using ground = await WitnessGround.open();
    const [north, east] = [await ground.witness('witness.example/north'), await ground.witness('witness.example/east')];
    const west = await ground.witness('witness.example/west');
    const service = await ground.service({ policy: ground.policy('2'), timeout: 600_000 });
    const vkey = await ground.log(service, 'quorum');
    await east.stop();
    await append(service, 'quorum', 3);
    const { size, by } = await published(service, 'quorum', vkey, ground.witnesses);
    expect([size, by]).toEqual([3, [north.name, west.name]]);
    // With two of three gone there is nobody to wait for.
    await west.stop();
    await append(service, 'quorum', 3);
    const { size: grown } = await published(service, 'quorum', vkey, ground.witnesses);
    expect(grown).toBe(6);
    await until(async () =>
      expect(await published(service, 'quorum', vkey, ground.witnesses)).toEqual({ size: 6, by: [north.name] }),
    );
  });

  test('withholds new checkpoints if so configured', async () => {
    await using ground = await WitnessGround.open();
    const [north, east] = [await ground.witness('witness.example/north'), await ground.witness('witness.example/east')];
    const service = await ground.service({ missing: 'hold' });
    const vkey = await ground.log(service, 'held');
    const both = { by: [north.name, east.name] };
    await append(service, 'held', 3);
    expect(await published(service, 'held', vkey, ground.witnesses)).toEqual({ size: 3, ...both });
    await east.stop();
    await append(service, 'held', 3);
    expect(await published(service, 'held', vkey, ground.witnesses)).toEqual({ size: 3, ...both });
    await east.start();
    await until(async () =>
      expect(await published(service, 'held', vkey, ground.witnesses)).toEqual({ size: 6, ...both }),
    );
  });

  test('and is not needed: nothing waits, and its cosignature is added later', async () => {
    await using ground = await WitnessGround.open();
    const witness = await ground.witness('witness.example/north');
    witness.delay = 200;
    const service = await ground.service({ policy: ground.policy('none'), timeout: 600_000 });
    const vkey = await ground.log(service, 'unneeded');
    await append(service, 'unneeded', 3);
    expect(await published(service, 'unneeded', vkey, [witness])).toEqual({ size: 3, by: [] });
    await until(async () =>
      expect(await published(service, 'unneeded', vkey, [witness])).toEqual({ size: 3, by: [witness.name] }),
    );
  });
});

describe('a problem belongs to one log', () => {
  test('one log of seven is cosigned at every append by a witness that fails for the six others', async () => {
    await using ground = await WitnessGround.open();
    const witness = await ground.witness('witness.example/north');
    witness.statuses.unknown = 500;
    const service = await ground.service({});
    const names = ['b', 'c', 'd', 'e', 'f', 'g'];
    for (const name of names) {
      await service.send('PUT', `/v1/logs/${name}`);
      await append(service, name, 1);
    }
    const vkey = await ground.log(service, 'a');
    for (let size = 1; size <= 5; size++) {
      await Promise.all(names.map((name) => service.send('GET', `/logs/${name}/checkpoint`)));
      await append(service, 'a', 1, `to ${size}`);
      expect(await published(service, 'a', vkey, [witness])).toEqual({ size, by: [witness.name] });
    }
    await until(async () =>
      expect(await metrics(service)).toContain('antequem_witness_problems{witness="W0",code="witness-fails"} 6'),
    );
    const told = await notices(service);
    for (const name of names) expect(told).toContain(`W0 does not cosign log.test/logs/${name}: it answers 500`);
    expect(told).not.toContain('log.test/logs/a:');
  });

  test.each([
    [422, 'it answers 422'],
    [409, 'it answers 409 to a checkpoint of the size that it has cosigned (4): it may have cosigned another tree'],
  ])(
    'a fork at one size answered by %i stays until that log is cosigned, whatever becomes of other logs',
    async (status, says) => {
      await using ground = await WitnessGround.open();
      const witness = await ground.witness('witness.example/north');
      witness.statuses.otherRoot = status;
      const first = await ground.service({});
      await ground.log(first, 'forked');
      await append(first, 'forked', 4, 'one history');
      await first.send('GET', '/logs/forked/checkpoint');

      const service = await ground.service({}, first);
      await ground.log(service, 'forked');
      await append(service, 'forked', 4, 'another history');
      await service.send('GET', '/logs/forked/checkpoint');
      const vkey = await ground.log(service, 'well');
      for (let size = 1; size <= 3; size++) {
        await append(service, 'well', 1, `to ${size}`);
        expect(await published(service, 'well', vkey, [witness])).toEqual({ size, by: [witness.name] });
        expect(await metrics(service)).toContain('antequem_witness_problems{witness="W0",code="witness-fork"} 1');
        expect(await notices(service)).toContain(says);
      }
      // Another process, which has not asked the witness, says the same.
      const other = new Witnesses({
        ...{ policy: ground.policy('all'), timeout: 1_000, interval: 50, missing: 'publish' },
        ...service.foundation,
        now: () => Date.now() + 120_000,
        logger: silent,
      });
      const state = { problems: [expect.objectContaining({ code: 'witness-fork', log: 'log.test/logs/forked' })] };
      // `_system` has no checkpoint yet.
      expect(await other.state()).toMatchObject({ ...state, quorumMissing: 1 });
      // The operator of the witness has found that its copy was the wrong one.
      await rm(witness.state);
      await append(service, 'forked', 1, 'more');
      const log = await service.foundation.registry.find('forked');
      if (log === null) throw new Error('no log');
      await other.current(log);
      expect(await other.state()).toEqual({ problems: [], quorumMissing: 0 });
      await other.close();
    },
  );
});

describe('what a witness answers', () => {
  const nothing = 'it answers 200 without a cosignature that is valid under its configured key';
  const FAULTS: [TestWitness['fault'], string][] = [
    [() => '', nothing],
    [() => 'yes\n', nothing],
    [(line) => line.replace(/.{4}==\n$/, 'AAAA==\n'), nothing],
    [(line) => line.replace('/w', '/v'), nothing],
    [(line) => line.trimEnd(), nothing],
    [() => '— x '.repeat(40_000), 'it answers with more than 65536 bytes'],
    [403, 'it answers 403: it does not accept the signature as made by a key that it trusts'],
    [404, 'it answers 404: it does not know this log'],
    [409, 'it answers 409 without the size that it has cosigned'],
    [400, 'it answers 400: it does not accept the request as well-formed'],
    [500, 'it answers 500'],
    [302, 'unexpected redirect'],
  ];

  test('is stored only if it is valid, and problems are reported to the operator', async () => {
    await using ground = await WitnessGround.open();
    for (const [i, [fault]] of FAULTS.entries()) (await ground.witness(`witness.example/w${i}`)).fault = fault;
    const service = await ground.service({});
    const vkey = await ground.log(service, 'wrong');
    await append(service, 'wrong', 3);
    const begun = performance.now();
    expect(await published(service, 'wrong', vkey, ground.witnesses)).toEqual({ size: 3, by: [] });
    await until(async () => {
      const told = (await notices(service)).split('the witness ').slice(1);
      expect(told.map((each) => each.replace(/",?.*$/, '')).sort()).toEqual(
        FAULTS.map(([, says], i) => `W${i} does not cosign log.test/logs/wrong: ${says}`).sort(),
      );
    });
    // They rest: who asks next waits for none of them.
    await published(service, 'wrong', vkey, ground.witnesses);
    const asked = ground.witnesses.map(({ requests }) => requests.length);
    // The shortest rest is of a second, which may be over on a busy machine.
    if (performance.now() - begun < 1_000) expect(asked).toEqual(FAULTS.map(() => 1));
    else expect(Math.min(...asked)).toBeGreaterThan(0);
    expect((await service.foundation.database.query('SELECT 1 FROM cosignatures')).rowCount).toBe(0);
  });

  test('is found among cosignatures of unknown keys, which are not stored', async () => {
    await using ground = await WitnessGround.open();
    const witness = await ground.witness('witness.example/north');
    const service = await ground.service({});
    const vkey = await ground.log(service, 'besides');
    await append(service, 'besides', 3);
    witness.fault = (line) =>
      `— witness.example/old AAAAAAAA\n${line}— witness.example/post-quantum ${'A'.repeat(3_244)}\n`;
    expect(await published(service, 'besides', vkey, [witness])).toEqual({ size: 3, by: [witness.name] });
  });
});

test('if the policy lists logs, no other log is offered', async () => {
  await using ground = await WitnessGround.open();
  const witness = await ground.witness('witness.example/north');
  const first = await ground.service({});
  const listed = await ground.log(first, 'listed');
  const service = await ground.service({ policy: ground.policy('all', [listed]) }, first);
  for (const [name, by] of [
    ['listed', [witness.name]],
    ['private', []],
  ] as const) {
    const vkey = await ground.log(service, name);
    await append(service, name, 3);
    expect(await published(service, name, vkey, [witness])).toEqual({ size: 3, by });
  }
  expect(witness.requests).toHaveLength(1);
});

test('checkpoints of rounds are offered without a request, and appear in receipts', async () => {
  await using ground = await WitnessGround.open();
  const witness = await ground.witness('witness.example/north');
  const service = await ground.service({ policy: ground.policy('none') });
  const { database, registry, publisher, guard } = service.foundation;
  for (const name of ['a', 'b', 'c']) {
    await ground.log(service, name);
    await append(service, name, 3);
  }
  witness.know((await registry.signer(registry.system)).verifierKey);
  await service.closeRound();
  const tiles = new TileStore(database);
  const settings = { policy: ground.policy('none'), timeout: 1_000, interval: 50, missing: 'publish' } as const;
  const witnesses = new Witnesses({ ...settings, database, registry, publisher, tiles, now: Date.now, logger: silent });
  const stop = feedWitnesses({ database, witnesses, rollback: guard.rollback, interval: 50, logger: silent });
  try {
    await until(() => expect(['a', 'b', 'c'].map((name) => witness.size(`log.test/logs/${name}`))).toEqual([3, 3, 3]));
    await until(() => expect(witness.size('log.test/logs/_system')).toBeGreaterThan(0));
    await until(async () => {
      const receipt = await service.send('GET', '/v1/logs/b/entries/1/receipt');
      expect(receipt.at('round', 'number')).toBe(1);
      expect(String(receipt.at('checkpoint'))).toContain(`— ${witness.name} `);
    });
    // Once all is cosigned nobody is asked any more.
    const { length } = witness.requests;
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(witness.requests).toHaveLength(length);
  } finally {
    await stop();
    await witnesses.close();
  }
});

test('a tlog-proof has the cosignatures of a checkpoint that enough witnesses cosigned', async () => {
  await using ground = await WitnessGround.open();
  const [north, east] = [await ground.witness('witness.example/north'), await ground.witness('witness.example/east')];
  const service = await ground.service({});
  const vkey = await ground.log(service, 'proved');
  await append(service, 'proved', 20);
  const fetchProof = async (index: number) =>
    service.send('GET', `/v1/logs/proved/entries/${index}/receipt.tlog-proof`);
  const { text, headers } = await fetchProof(7);
  expect(headers.get('content-type')).toBe('text/plain; charset=utf-8');
  for (const { name } of [north, east]) expect(text).toContain(`\n— ${name} `);
  const trust = { policy: ground.policy('all', [vkey]) };
  const verdict = verifyTlogProof({ proof: text, payload: utf8('entry 7') }, trust);
  expect(verdict.claims.map(({ code }) => code)).toEqual([
    'content-matches',
    'position-by-key',
    'signature-holds',
    'witnesses-enough',
    'operators-word',
  ]);
  // With one of them gone an older checkpoint serves, as long as it covers the entry.
  await east.stop();
  await append(service, 'proved', 5);
  expect((await fetchProof(19)).text).toContain(`\n— ${east.name} `);
  const late = await fetchProof(22);
  expect(late.text).not.toContain(`\n— ${east.name} `);
  const found = verifyTlogProof({ proof: late.text, digest: fromHex('00'.repeat(32)) }, trust);
  expect(found.claims.map(({ code }) => code)).toEqual([
    'content-differs',
    'position-by-key',
    'signature-holds',
    'witnesses-too-few',
    'operators-word',
  ]);
});
