// Keys of logs that change while they sign: by two processes, of one seed or two, and what an audit makes of it.

import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { confirmedSize, LogKeys } from '../../src/audit/checks/log-keys.ts';
import { openKey } from '../../src/audit/process/signatures.ts';
import { fromHex, toHex, utf8 } from '../../src/core/bytes.ts';
import { EMPTY_ROOT } from '../../src/core/merkle.ts';
import { checkNote, formatVerifierKey, joinNotes, parseNote, parseVerifierKey } from '../../src/core/note.ts';
import { parsePolicy } from '../../src/core/policy.ts';
import type { Log } from '../../src/log/log.ts';
import { addKeys, readLogKeys, retireKeys, setMlDsa } from '../../src/log/rotation.ts';
import { LogSeed } from '../../src/log/seed.ts';
import { verifyReceipt } from '../../src/verify/verify.ts';
import { Witnesses } from '../../src/witness/witnesses.ts';
import { auditDatabase } from '../support/audit.ts';
import { asAdministrator, copyOf } from '../support/history.ts';
import { Clock, type Instance, ORIGIN, openInstance, SEED } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { recompute } from '../support/recompute.ts';

const OLD = new Uint8Array(32).fill(7);
const NEW = new Uint8Array(32).fill(8);
const NOTICED = 10_000;
const HOLDS = 'signature-holds';
const ABSENT = 'signature-by-another-key';

let server: TestDatabase;
let one: Instance;
let two: Instance;

beforeAll(async () => {
  server = await testDatabase();
  [one, two] = [await openInstance(server.url), await openInstance(server.url, { clock: new Clock() })];
});

afterAll(async () => {
  await Promise.all([one?.end(), two?.end()]);
  await server?.drop();
});

/** Key `number` of a log, of the seed of the tests. */
const key = (log: Log, number: number): string => SEED.signer(log.origin, number).verifierKey;

/** Which of the keys 1 to 3 a note verifies with. */
function signedBy(log: Log, note: string): number[] {
  return [1, 2, 3].filter((number) => {
    const standing = checkNote(parseNote(note), parseVerifierKey(key(log, number)));
    expect(standing).not.toBe('refuted');
    return standing === 'verified';
  });
}

/** Time passes for a process, until it looks for keys that changed. */
function later(instance: Instance): void {
  instance.clock.shift += NOTICED;
}

const rotate = (instance: Instance, ...logs: Log[]) => addKeys(instance, logs);
const retire = (instance: Instance, log: Log, number: number | null, force = true) =>
  retireKeys(instance, [{ log, number }], force);

test('old and new key sign together; what was signed before verifies with the old key, after its retirement all else with the new', async () => {
  const log = await one.makeLog('demo');
  await one.append(log, 'zero', 'one');
  const receipt = await one.receipts.compose(log, 0);
  const before = await one.publisher.current(log);
  expect(signedBy(log, before.note)).toEqual([1]);

  const [added] = await rotate(one, log);
  expect(added?.key).toMatchObject({ number: 2, retiredAt: null });
  expect((await one.registry.signer(log)).verifierKey).toBe(key(log, 2));
  expect((await one.registry.signers(log)).map(({ verifierKey }) => verifierKey)).toEqual([key(log, 1), key(log, 2)]);
  // Of the size that was there: a line is added, and nothing else is another.
  const endorsed = await one.publisher.current(log);
  expect(endorsed.note.startsWith(before.note)).toBe(true);
  expect(signedBy(log, endorsed.note)).toEqual([1, 2]);
  await one.append(log, 'two');
  expect(signedBy(log, (await one.publisher.current(log)).note)).toEqual([1, 2]);
  const overlapping = await one.receipts.compose(log, 2);

  await retire(one, log, 1);
  expect((await one.registry.signers(log)).map(({ verifierKey }) => verifierKey)).toEqual([key(log, 2)]);
  await one.append(log, 'three');
  await one.closeRound();
  expect(signedBy(log, (await one.publisher.current(log)).note)).toEqual([2]);

  const standing = async (receipt: object, number: number): Promise<string | undefined> => {
    const { claims } = await verifyReceipt({ receipt }, { key: key(log, number) });
    return claims.find(({ claim }) => claim === 'checkpoint')?.code;
  };
  expect([await standing(receipt, 1), await standing(receipt, 2)]).toEqual([HOLDS, ABSENT]);
  expect([await standing(overlapping, 1), await standing(overlapping, 2)]).toEqual([HOLDS, HOLDS]);
  const newest = await one.receipts.compose(log, 3);
  expect([await standing(newest, 1), await standing(newest, 2)]).toEqual([ABSENT, HOLDS]);
});

test('`_system` tells of both, in the transaction that does it', async () => {
  const log = await one.makeLog('told');
  await rotate(one, log);
  await expect(retire(one, log, 3)).rejects.toMatchObject({ code: 'log-key-not-found' });
  await retire(one, log, 1);
  const { rows } = await recompute(one.database, one.registry.system);
  const acts = rows.map((row) => JSON.parse(row.payload?.toString() ?? ''));
  const publicKey = (number: number): string => toHex(SEED.signer(log.origin, number).publicKey);
  expect(acts.filter((act) => act.log === log.origin).map(({ at, ...act }) => act)).toEqual([
    { act: 'log-created', log: log.origin, blinded: true, publicKey: publicKey(1) },
    { act: 'log-key-added', log: log.origin, number: 2, publicKey: publicKey(2) },
    { act: 'log-key-retired', log: log.origin, number: 1, publicKey: publicKey(1) },
  ]);
  const keys = (await readLogKeys(one.database, [log])).get(log.id);
  expect(keys?.map(({ number, retiredAt }) => [number, retiredAt === null])).toEqual([
    [1, false],
    [2, true],
  ]);
});

describe('two processes', () => {
  test('take a new key up within ten seconds, and a retired one down', async () => {
    const log = await one.makeLog('noticed');
    await one.append(log, 'a');
    expect(signedBy(log, (await two.publisher.current(log)).note)).toEqual([1]);
    await rotate(one, log);
    later(two);
    const { note } = await two.publisher.current(log);
    expect(note).toBe((await one.publisher.current(log)).note);
    expect(signedBy(log, (await two.publisher.covering(log, 0)).note)).toEqual([1, 2]);
    await retire(one, log, 1);
    later(two);
    await two.append(log, 'b');
    expect(signedBy(log, (await two.publisher.current(log)).note)).toEqual([2]);
  });

  test('look for it with one query for all logs, and not again within the time', async () => {
    const logs = await Promise.all(['q1', 'q2', 'q3'].map((name) => one.makeLog(name)));
    for (const log of logs) await two.publisher.current(log);
    later(two);
    const asked: string[] = [];
    const query = two.database.query.bind(two.database);
    const spied = Object.assign(Object.create(two.database), {
      query: (...args: Parameters<typeof query>) => {
        asked.push(String(args[0]));
        return query(...args);
      },
    });
    for (let i = 0; i < 3; i++) for (const _ of logs) await two.registry.noticeKeys(spied);
    expect(asked).toEqual(['SELECT changes FROM log_key_changes']);
  });

  test.each([
    ['the one that knows the new key', () => [one, two] as const, [1, 2]],
    ['the one that does not', () => [two, one] as const, [1]],
  ])('that sign the same size hand out what was recorded first: by %s', async (who, order, keys) => {
    const log = await one.makeLog(`raced.${keys.length}`);
    await two.publisher.current(log);
    await rotate(one, log);
    await one.append(log, who);
    const [first, second] = order();
    const { note } = await first.publisher.current(log);
    expect(signedBy(log, note)).toEqual(keys);
    const head = await one.registry.head(log);
    expect((await second.publisher.publish(second.database, [{ log, head }]))[0]?.note).toBe(note);
    expect((await second.publisher.current(log)).note).toBe(note);
    expect((await first.publisher.at(log, 1))?.note).toBe(note);
    expect((await second.closeRound())?.number).toBeGreaterThan(0);
    expect((await second.receipts.compose(log, 0)).checkpoint).toBe(note);
    // Whatever a process had not noticed, the keys that stay have signed the newest.
    await retire(one, log, 1);
    later(second);
    expect(signedBy(log, (await second.publisher.current(log)).note)).toEqual([1, 2]);
  });

  test('that rotate at once give a log two keys, one after the other', async () => {
    const log = await one.makeLog('both');
    const added = await Promise.all([rotate(one, log), rotate(two, log)]);
    expect(
      added
        .flat()
        .map(({ key: { number } }) => number)
        .sort(),
    ).toEqual([2, 3]);
    later(two);
    for (const { registry } of [one, two]) expect(await registry.signers(log)).toHaveLength(3);
  });
});

test('one connection is enough', async () => {
  const log = await one.makeLog('narrow');
  await one.append(log, 'a');
  await one.publisher.current(log);
  const narrow = await openInstance(server.url, { connections: 1 });
  await rotate(narrow, log);
  await retire(narrow, log, 1);
  expect(signedBy(log, (await narrow.publisher.current(log)).note)).toEqual([1, 2]);
  await narrow.end();
});

test('a witness policy that names any of the keys that sign concerns the log', async () => {
  const log = await one.makeLog('witnessed');
  await rotate(one, log);
  const { database, registry, publisher, tiles, effects } = one;
  const concerned = (number: number): Promise<boolean> => {
    const policy = parsePolicy(utf8(`log ${key(log, number)}\nquorum none\n`));
    const settings = { policy, timeout: 0, interval: 0, missing: 'publish' } as const;
    const parts = { database, registry, publisher, tiles, now: effects.now, logger: pino({ level: 'silent' }) };
    return new Witnesses({ ...settings, ...parts }).concerns(log);
  };
  expect([await concerned(1), await concerned(2), await concerned(3)]).toEqual([true, true, false]);
  await retire(one, log, 1);
  expect([await concerned(1), await concerned(2)]).toEqual([false, true]);
});

describe('refused', () => {
  test('to retire the last key, or what is retired already', async () => {
    const log = await one.makeLog('last');
    await expect(retire(one, log, 1)).rejects.toMatchObject({ code: 'log-key-last' });
    expect(await retire(one, log, null)).toEqual([]);
    await rotate(one, log);
    await retire(one, log, 2);
    await expect(retire(one, log, 2)).rejects.toMatchObject({ code: 'log-key-not-found' });
    await expect(retire(one, log, 1)).rejects.toMatchObject({ code: 'log-key-last' });
    await rotate(one, log);
    expect((await retire(one, log, null)).map(({ key: { number } }) => number)).toEqual([1]);
    expect((await one.registry.signer(log)).verifierKey).toBe(key(log, 3));
  });

  test('to retire a key while those that stay are not a minute old', async () => {
    const log = await one.makeLog('young');
    await rotate(one, log);
    await expect(retire(one, log, 1, false)).rejects.toMatchObject({ code: 'log-key-new' });
    await one.database.query('ALTER TABLE log_keys DISABLE TRIGGER guard');
    await one.database.query('UPDATE log_keys SET created_at = created_at - 60000 WHERE log = $1', [log.id]);
    await one.database.query('ALTER TABLE log_keys ENABLE TRIGGER guard');
    expect(await retire(one, log, 1, false)).toHaveLength(1);
  });

  test('to have more than four keys sign', async () => {
    const log = await one.makeLog('many');
    for (let i = 0; i < 3; i++) await rotate(one, log);
    await expect(rotate(one, log)).rejects.toMatchObject({ code: 'keys-too-many' });
  });

  test('to sign with a new key what no key signed before; then no log gets one', async () => {
    const [good, bad] = [await one.makeLog('good'), await one.makeLog('bad')];
    for (const log of [good, bad]) {
      await one.append(log, 'a');
      await one.publisher.current(log);
    }
    const other = EMPTY_ROOT;
    const forged = SEED.signer(bad.origin, 2).sign({ origin: bad.origin, size: 1, root: other });
    await asAdministrator(server.url, async (client) => {
      await client.query('UPDATE checkpoints SET root = $2, note = $3 WHERE log = $1', [bad.id, other, forged]);
    });
    await expect(rotate(one, good, bad)).rejects.toMatchObject({ code: 'checkpoint-damaged' });
    const keys = await readLogKeys(one.database, [good, bad]);
    expect([...keys.values()].map(({ length }) => length)).toEqual([1, 1]);
    await asAdministrator(server.url, async (client) => {
      await client.query('DELETE FROM checkpoints WHERE log = $1', [bad.id]);
    });
  });
});

describe('ML-DSA-44 beside Ed25519', () => {
  /** Its key of ML-DSA beside key `number`, as a text. */
  const second = (log: Log, number: number): string => {
    const [, verifier] = SEED.signer(log.origin, number).withMlDsa().verifiers;
    return verifier === undefined ? '' : formatVerifierKey(log.origin, verifier.publicKey, verifier.type);
  };
  const code = async (receipt: object, key: string): Promise<string | undefined> =>
    (await verifyReceipt({ receipt }, { key })).claims.find(({ claim }) => claim === 'checkpoint')?.code;
  const lines = (note: string): string[] =>
    note
      .slice(note.indexOf('\n\n') + 2)
      .split('\n')
      .slice(0, -1);

  test('signs what is there and what comes, is rotated and retired with its key, and can be ended', async () => {
    const log = await one.makeLog('quantum');
    await one.append(log, 'zero');
    const before = await one.publisher.current(log);
    expect((await setMlDsa(one, [log], true)).map(({ name }) => name)).toEqual(['quantum']);
    expect(await setMlDsa(one, [log], true)).toEqual([]);
    const endorsed = await one.publisher.current(log);
    expect(endorsed.note.startsWith(before.note)).toBe(true);
    expect(lines(endorsed.note)).toHaveLength(2);
    await one.append(log, 'one');
    const receipt = await one.receipts.compose(log, 1);
    expect([await code(receipt, key(log, 1)), await code(receipt, second(log, 1))]).toEqual([HOLDS, HOLDS]);
    expect(await code(receipt, second(log, 2))).toBe(ABSENT);
    const [, line = ''] = lines(receipt.checkpoint);
    const broken = receipt.checkpoint.replace(
      line,
      line.replace(/.{9}$/, (end) => (end[0] === 'A' ? 'B' : 'A') + end.slice(1)),
    );
    expect(await code({ ...receipt, checkpoint: broken }, second(log, 1))).toBe('signature-broken');
    const policy = parsePolicy(utf8(`log ${second(log, 1)}\nquorum none\n`));
    const listed = await verifyReceipt({ receipt }, { policy });
    expect(listed.claims.map((claim) => claim.code)).toContain(HOLDS);

    await rotate(one, log);
    await one.append(log, 'two');
    const both = await one.receipts.compose(log, 2);
    for (const number of [1, 2]) expect(await code(both, second(log, number))).toBe(HOLDS);
    await retire(one, log, 1);
    await one.append(log, 'three');
    const newest = await one.receipts.compose(log, 3);
    expect([await code(newest, second(log, 1)), await code(newest, second(log, 2))]).toEqual([ABSENT, HOLDS]);
    // Another process takes it up, and takes it down.
    two.registry.doubtKeys();
    await two.append(log, 'four');
    expect(lines((await two.publisher.current(log)).note)).toHaveLength(2);
    await setMlDsa(one, [log], false);
    two.registry.doubtKeys();
    await two.append(log, 'five');
    expect(lines((await two.publisher.current(log)).note)).toHaveLength(1);

    const { rows } = await recompute(one.database, one.registry.system);
    const acts = rows.map((row) => JSON.parse(row.payload?.toString() ?? ''));
    const told = acts.filter((act) => act.act === 'log-ml-dsa' && act.log === log.origin);
    expect(told.map(({ on, keys }) => [on, keys.map(({ number }: { number: number }) => number)])).toEqual([
      [true, [1]],
      [true, [2]],
      [false, []],
    ]);
  });

  test('an audit checks its signatures, its keys, and that `_system` tells of it', async () => {
    const [log] = [await one.makeLog('audited-quantum')];
    await setMlDsa(one, [log], true);
    await one.append(log, 'zero');
    const { note, size } = await one.publisher.current(log);
    const of = async (): Promise<string[]> => {
      const { findings } = await auditDatabase(server.url, { seed: SEED });
      return findings.filter((finding) => finding.log === log.name).map((finding) => finding.code);
    };
    expect(await of()).toEqual([]);
    const [, line = ''] = lines(note);
    const set = (text: string): Promise<void> =>
      asAdministrator(server.url, async (client) => {
        await client.query('UPDATE checkpoints SET note = $3 WHERE log = $1 AND size = $2', [log.id, size, text]);
      });
    await set(
      note.replace(
        line,
        line.replace(/.{9}$/, (end) => (end[0] === 'A' ? 'B' : 'A') + end.slice(1)),
      ),
    );
    expect(await of()).not.toEqual([]);
    await set(note);
    const quietly = (on: boolean): Promise<void> =>
      asAdministrator(server.url, async (client) => {
        await client.query('UPDATE logs SET ml_dsa = $2 WHERE id = $1', [log.id, on]);
      });
    await quietly(false);
    expect(await of()).toEqual(['key-differs']);
    await quietly(true);
    expect(await of()).toEqual([]);
  });
});

describe('a seed that is left behind', () => {
  let left: TestDatabase;
  beforeAll(async () => {
    left = await testDatabase();
  });
  afterAll(() => left?.drop());

  test('two seeds: keys that are there keep theirs, new ones come of the last; then the old one can go', async () => {
    const opened: Instance[] = [];
    const open = async (seed: LogSeed): Promise<Instance> => {
      const instance = await openInstance(left.url, { seed });
      opened.push(instance);
      return instance;
    };
    try {
      const first = await open(new LogSeed(OLD));
      const log = await first.makeLog('demo');
      const forgotten = await first.makeLog('forgotten');
      await first.append(log, 'a');
      const { note } = await first.publisher.current(log);

      const both = await open(LogSeed.parse(`${toHex(OLD)}\n${toHex(NEW)}\n`));
      expect((await both.publisher.current(log)).note).toBe(note);
      const later = await both.makeLog('later');
      expect((await both.registry.signer(later)).verifierKey).toBe(new LogSeed(NEW).signer(later.origin).verifierKey);
      await addKeys(both, [log, both.registry.system]);
      const verifierKey = new LogSeed(NEW).signer(log.origin, 2).verifierKey;
      expect((await both.registry.signer(log)).verifierKey).toBe(verifierKey);
      await both.append(log, 'b');
      const overlap = parseNote((await both.publisher.current(log)).note);
      expect(checkNote(overlap, parseVerifierKey(verifierKey))).toBe('verified');
      expect(checkNote(overlap, parseVerifierKey(key(log, 1)))).toBe('verified');
      await both.publisher.current(both.registry.system);

      // Too early: the old seed has keys that sign.
      await expect(open(new LogSeed(NEW))).rejects.toMatchObject({ code: 'seed-changed' });
      await retireKeys(
        both,
        [log, both.registry.system].map((each) => ({ log: each, number: 1 })),
        true,
      );
      await both.closeRound();
      const last = await open(new LogSeed(NEW));
      await last.append(log, 'c');
      expect(checkNote(parseNote((await last.publisher.current(log)).note), parseVerifierKey(verifierKey))).toBe(
        'verified',
      );
      await expect(last.publisher.current(forgotten)).rejects.toMatchObject({ code: 'seed-changed' });

      const { findings } = await auditDatabase(left.url, { seed: LogSeed.parse(`${toHex(OLD)}\n${toHex(NEW)}`) });
      expect(findings).toEqual([]);
      const alone = await auditDatabase(left.url, { seed: new LogSeed(NEW) });
      expect(alone.findings).toMatchObject([{ code: 'key-differs', log: 'forgotten' }]);
    } finally {
      for (const instance of opened) await instance.end();
    }
  });

  test('a file of seeds: one a line, each once', () => {
    const seed = LogSeed.parse(` ${toHex(OLD).toUpperCase()}\r\n\n${toHex(NEW)}\n`);
    const [older, newer] = [new LogSeed(OLD), new LogSeed(NEW)];
    expect(seed.signer('a').verifierKey).toBe(newer.signer('a').verifierKey);
    const { publicKey, verifierKey } = older.signer('a', 3);
    expect(seed.signer('a', 3, publicKey).verifierKey).toBe(verifierKey);
    expect(seed.signer('a', 3, new Uint8Array(32)).verifierKey).toBe(newer.signer('a', 3).verifierKey);
    expect(seed.secrets('purpose')).toEqual([newer.secret('purpose'), older.secret('purpose')]);
    expect(seed.secret('purpose')).toEqual(newer.secret('purpose'));
    const seeds = Array.from({ length: 17 }, (_, i) => toHex(new Uint8Array(32).fill(i)));
    for (const text of ['', '\n', `${toHex(OLD)} ${toHex(NEW)}`, `${toHex(OLD)}\n1`, seeds.join('\n')]) {
      expect(() => LogSeed.parse(text)).toThrow(expect.objectContaining({ code: 'seed-invalid' }));
    }
    expect(() => new LogSeed()).toThrow(expect.objectContaining({ code: 'seed-invalid' }));
  });
});

describe('an audit', () => {
  let audited: TestDatabase;
  /** The verifier keys 1 and 2 of `_system`. */
  let keys: string[];
  let demo: Log;

  beforeAll(async () => {
    audited = await testDatabase();
    const instance = await openInstance(audited.url);
    demo = await instance.makeLog('demo');
    const { system } = instance.registry;
    keys = [key(system, 1), key(system, 2)];
    await instance.append(demo, 'a');
    await instance.closeRound();
    await addKeys(instance, [demo, system]);
    await instance.publisher.current(system);
    await instance.append(demo, 'b');
    await instance.closeRound();
    await retireKeys(
      instance,
      [demo, system].map((log) => ({ log, number: 1 })),
      true,
    );
    await instance.append(demo, 'c');
    await instance.closeRound();
    await instance.publisher.current(system);
    await instance.end();
  });
  afterAll(() => audited?.drop());

  /** Findings of a copy that an administrator of the database has been at. */
  async function found(
    sql: string,
    options: Parameters<typeof auditDatabase>[1] = {},
  ): Promise<[string, string | null][]> {
    const copy = await copyOf(audited);
    try {
      if (sql !== '') await asAdministrator(copy.url, (client) => client.query(sql));
      const { findings } = await auditDatabase(copy.url, options);
      return findings.map(({ code, log }) => [code, log]);
    } finally {
      await copy.drop();
    }
  }

  test('finds nothing where keys came and went as `_system` tells, by the seed, or by an old or new key of `_system`', async () => {
    expect(await found('')).toEqual([]);
    for (const verifier of keys) {
      expect(await found('', { seed: null, verifiers: [parseVerifierKey(verifier)] })).toEqual([]);
    }
  });

  const DEMO = `log = (SELECT id FROM logs WHERE name = 'demo')`;
  const SYSTEM = `log = (SELECT id FROM logs WHERE name = '_system')`;
  test.each([
    [
      'added',
      `INSERT INTO log_keys SELECT log, 3, sha256(public_key), created_at FROM log_keys WHERE ${DEMO} AND number = 2`,
      'demo',
    ],
    ['un-retired', `UPDATE log_keys SET revoked_at = NULL WHERE ${DEMO} AND number = 1`, 'demo'],
    ['retired', `UPDATE log_keys SET revoked_at = 1 WHERE ${DEMO} AND number = 2`, 'demo'],
    ['altered', `UPDATE log_keys SET public_key = sha256(public_key) WHERE ${DEMO} AND number = 1`, 'demo'],
    ['deleted', `DELETE FROM log_keys WHERE ${DEMO} AND number = 1`, 'demo'],
    [
      'added later than told',
      `UPDATE log_keys SET created_at = created_at + 3600000 WHERE ${DEMO} AND number = 2`,
      'demo',
    ],
    ['un-retired in _system', `UPDATE log_keys SET revoked_at = NULL WHERE ${SYSTEM} AND number = 1`, '_system'],
    [
      'added to _system',
      `INSERT INTO log_keys SELECT log, 3, sha256(public_key), 1, 2 FROM log_keys WHERE ${SYSTEM} AND number = 2`,
      '_system',
    ],
  ])('finds a key %s by SQL', async (_, sql, log) => {
    expect((await found(sql))[0]).toEqual(['key-differs', log]);
  });

  test('by a key of `_system` that nobody known signed for finds what only `_system` itself tells', async () => {
    const stranger = new LogSeed(NEW).signer(`${ORIGIN}/logs/_system`, 1);
    const verifiers = [parseVerifierKey(formatVerifierKey(stranger.origin, stranger.publicKey))];
    expect(await found('', { seed: null, verifiers })).toEqual([['key-differs', '_system']]);
    // The overlap cut out: no checkpoint by the old key covers what tells of the new one.
    const cut = `DELETE FROM checkpoints WHERE ${SYSTEM} AND strpos(split_part(note, E'\\n\\n', 2), E'\\n') < length(split_part(note, E'\\n\\n', 2))`;
    const [first = ''] = keys;
    const late = await found(cut, { seed: null, verifiers: [parseVerifierKey(first)] });
    expect(late).toContainEqual(['key-differs', '_system']);
  });
});

describe('keys as an audit holds them', () => {
  const signer = (number: number) => SEED.signer('log.example.org/logs/x', number);
  const note = (...numbers: number[]) =>
    parseNote(
      joinNotes(
        numbers.map((number) => String(signer(number).sign({ origin: signer(1).origin, size: 9, root: EMPTY_ROOT }))),
      ),
    );
  const origin = signer(1).origin;

  test('pass over lines of keys that are not known, and not over a broken one', async () => {
    const held = new LogKeys(origin, openKey, [signer(1).publicKey]);
    expect(await held.faultOf(note(1, 2))).toBeNull();
    expect(await held.faultOf(note(2))).toBe('broken');
    held.add(signer(2).publicKey);
    expect(await held.faultOf(note(2))).toBeNull();
    const { text, signatures } = note(1, 2);
    const broken = signatures.map((line) => ({
      ...line,
      signature: line.signature.map((byte, i) => (i === 9 ? byte ^ 1 : byte)),
    }));
    expect(await held.faultOf({ text, signatures: [...signatures.slice(0, 1), ...broken.slice(1)] })).toBe('broken');
  });

  test('a retired key does not vouch for what was received long after', async () => {
    const held = new LogKeys(origin, openKey, [signer(1).publicKey, signer(2).publicKey]);
    held.retire(signer(1).publicKey, 1_000_000);
    expect(await held.faultOf(note(1), { size: 9, receivedAt: 1_120_000 })).toBeNull();
    expect(await held.faultOf(note(1), { size: 10, receivedAt: 1_120_001 })).toBe('broken');
    expect(await held.faultOf(note(1, 2), { size: 10, receivedAt: 1_120_001 })).toBeNull();
    expect([1, 2].map((number) => held.reach(signer(number).publicKey))).toEqual([9, 10]);
  });

  test('a log that signs by ML-DSA as well does so once processes know of it, with a key that is not retired', async () => {
    const both = signer(1).withMlDsa();
    const held = new LogKeys(
      origin,
      openKey,
      both.verifiers.map(({ publicKey }) => publicKey),
    );
    const signed = parseNote(String(both.sign({ origin, size: 9, root: EMPTY_ROOT })));
    expect(await held.faultOf(note(1), { size: 9, receivedAt: 2_000_000 })).toBeNull();
    held.signByMlDsa(1_000_000);
    expect(await held.faultOf(note(1), { size: 9, receivedAt: 1_120_000 })).toBeNull();
    expect(await held.faultOf(note(1), { size: 9, receivedAt: 1_120_001 })).toBe('ml-dsa-missing');
    expect(await held.faultOf(signed, { size: 9, receivedAt: 1_120_001 })).toBeNull();
    const [, { publicKey = new Uint8Array() } = {}] = both.verifiers;
    held.retire(publicKey, 1_000_000);
    expect(await held.faultOf(signed, { size: 9, receivedAt: 1_120_001 })).toBe('ml-dsa-missing');
  });

  test('one confirms the next by what it signed, however long the chain', async () => {
    const held = new LogKeys(
      origin,
      openKey,
      [1, 2, 3].map((number) => signer(number).publicKey),
    );
    const act = (number: number, entry: number) =>
      ({
        act: 'log-key-added',
        log: origin,
        number,
        publicKey: toHex(signer(number).publicKey),
        at: 0,
        entry,
      }) as const;
    await held.faultOf(note(1, 2), { size: 10, receivedAt: 0 });
    await held.faultOf(note(2, 3), { size: 20, receivedAt: 0 });
    await held.faultOf(note(3), { size: 30, receivedAt: 0 });
    const known = [signer(1).publicKey];
    expect(confirmedSize(held, [act(2, 9), act(3, 19)], known)).toBe(30);
    expect(confirmedSize(held, [act(2, 9), act(3, 20)], known)).toBe(20);
    expect(confirmedSize(held, [act(2, 10), act(3, 19)], known)).toBe(10);
    expect(confirmedSize(held, [], [fromHex('00'.repeat(32))])).toBe(0);
  });
});
