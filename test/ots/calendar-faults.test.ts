// A service with an EVM chain, two calendars in order and one for each thing that a calendar can do wrong.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { sha256 } from '#sha256';
import { readConfig } from '../../src/config.ts';
import { concat, fromBase64, fromHex, utf8 } from '../../src/core/bytes.ts';
import { knownAnchors, parseReceipt } from '../../src/core/receipt.ts';
import { deployAnchor } from '../../src/evm/deploy.ts';
import { serializeOtsFile } from '../../src/ots/file.ts';
import { timestampLines, timestampOf } from '../../src/ots/line.ts';
import { parseTimestamp, serializeTimestamp } from '../../src/ots/serialization.ts';
import { GENESIS, nextHeader, serve, serveChain } from '../bitcoin/chain-server.ts';
import { SENDER_KEY } from '../support/anchoring.ts';
import { testChain } from '../support/chain.ts';
import { openGate } from '../support/gate.ts';
import { type Behaviour, serveCalendar } from '../support/ots.ts';
import { type TestService, testService } from '../support/service.ts';

const anchorsAnswer = z.object({
  root: z.string(),
  anchors: z.array(
    z.object({
      type: z.string(),
      status: z.string(),
      problem: z.string().nullable(),
      calendars: z
        .array(
          z.object({
            calendar: z.string(),
            request: z.string(),
            state: z.string(),
            problem: z.string().nullable(),
            lastTry: z.string().nullable(),
            nextTry: z.string().nullable(),
          }),
        )
        .optional(),
      blocks: z.array(z.object({ calendar: z.string(), height: z.number(), state: z.string() })).optional(),
    }),
  ),
});
type Anchors = z.infer<typeof anchorsAnswer>['anchors'];

const digestOf = async (request: AsyncIterable<unknown>): Promise<Uint8Array> => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) if (chunk instanceof Uint8Array) chunks.push(chunk);
  return concat(...chunks);
};
const other = timestampOf(sha256(utf8('another message')), [
  { ops: [{ kind: 'sha256' }], attestation: { kind: 'bitcoin', height: 1 } },
]);
const answer =
  (make: (digest: Uint8Array) => Uint8Array): Behaviour =>
  async (request, response) => {
    response.end(make(await digestOf(request)));
  };

interface Fault {
  readonly name: string;
  /** What `/v1/rounds/{n}` says of it. */
  readonly problem: RegExp;
  readonly gate?: 'shut' | 'hanging';
  readonly behaviour?: Behaviour;
}

/** All but who names somebody else as the one to ask: that answer is in order. */
const FAULTS: Fault[] = [
  { name: 'down', problem: /did not answer: ECONNREFUSED/, gate: 'shut' },
  { name: 'silent', problem: /did not answer: it took more than 2000 ms/, gate: 'hanging' },
  {
    name: 'slow, a byte at a time',
    problem: /did not answer: it took more than 2000 ms/,
    behaviour: (_request, response) => {
      const drip = setInterval(() => response.write('\xf0'), 100);
      response.on('close', () => clearInterval(drip));
    },
  },
  {
    name: 'answering garbage',
    problem: /what is no timestamp of [0-9a-f]{64}: byte 0: no operation begins with 3c/,
    behaviour: (_request, response) => void response.end('<html>Welcome</html>'),
  },
  {
    name: 'answering with 11 kB',
    problem: /did not answer: more than 10000 bytes/,
    behaviour: answer((digest) => {
      const large = { kind: 'unknown' as const, tag: new Uint8Array(8), payload: new Uint8Array(5_500) };
      const lines = [large, { ...large, tag: new Uint8Array(8).fill(1) }].map((attestation) => ({
        ops: [],
        attestation,
      }));
      return serializeTimestamp(timestampOf(digest, lines));
    }),
  },
  {
    name: 'sending a redirect',
    problem: /sent a redirect \(status 307\), which is not followed/,
    behaviour: (_request, response) => void response.writeHead(307, { location: `${trap.url}/digest` }).end(),
  },
  {
    name: 'answering with a file about another message',
    problem: /what is no timestamp of/,
    behaviour: answer(() => serializeOtsFile({ hash: 'sha256', timestamp: other })),
  },
  {
    name: 'answering with a timestamp of another message',
    problem: /names blocks of Bitcoin that do not have the merkle root it says/,
    behaviour: answer(() => serializeTimestamp(other)),
  },
  {
    name: 'failing',
    problem: /answered with status 500/,
    behaviour: (_request, response) => void response.writeHead(500).end(),
  },
];

let trap: Awaited<ReturnType<typeof serve>>;
let service: TestService;
const good: Awaited<ReturnType<typeof serveCalendar>>[] = [];
const bad: { calendar: Awaited<ReturnType<typeof serveCalendar>>; gate: Awaited<ReturnType<typeof openGate>> }[] = [];
const ends: (() => PromiseLike<unknown>)[] = [];
const headers = [GENESIS];
let during: Anchors;
let after: Anchors;
let root: string;

async function readRound(): Promise<Anchors> {
  const round = anchorsAnswer.parse((await service.send('GET', '/v1/rounds/1')).json);
  root = round.root;
  return round.anchors;
}

const submission = (anchors: Anchors, url: string | undefined) =>
  anchors
    .find(({ type }) => type === 'opentimestamps')
    ?.calendars?.find(({ calendar, request }) => calendar === url && request === 'submit');

function mine(count: number, merkleRoot = sha256(Uint8Array.of(headers.length))): void {
  for (let i = 0; i < count; i++) {
    headers.push(
      nextHeader(headers.at(-1) ?? GENESIS, i === 0 ? merkleRoot : sha256(Uint8Array.of(headers.length, 1))),
    );
  }
}

async function receiptWhen(until: string) {
  const answer = await service.send('GET', `/v1/logs/demo/entries/0/receipt?wait=30&until=${until}`);
  const { expectedBy: _, ...receipt } = z.looseObject({ expectedBy: z.string().optional() }).parse(answer.json);
  const read = parseReceipt(receipt);
  if (!('round' in read)) throw new Error('no round');
  return knownAnchors(read);
}

beforeAll(async () => {
  const chain = await testChain();
  ends.push(() => chain[Symbol.asyncDispose]());
  await deployAnchor({ provider: chain.provider, signer: chain.wallet, dryRun: false });
  trap = await serve((_request, response) => void response.end('nobody should ask'));
  ends.push(() => trap[Symbol.asyncDispose]());
  const node = await serveChain(headers);
  ends.push(() => node[Symbol.asyncDispose]());
  for (let i = 0; i < 3; i++) good.push(await serveCalendar());
  for (const { gate: state, behaviour } of FAULTS) {
    const calendar = await serveCalendar();
    const gate = await openGate(calendar.url);
    calendar.uri = gate.url;
    calendar.behaviour = behaviour ?? null;
    if (state !== undefined) await gate.set(state);
    bad.push({ calendar, gate });
    ends.push(
      () => gate.close(),
      () => calendar[Symbol.asyncDispose](),
    );
  }
  for (const calendar of good) ends.push(() => calendar[Symbol.asyncDispose]());
  // The third answers as it should, and names another host than it is.
  const [, , misleading] = good;
  if (misleading !== undefined) misleading.uri = trap.url;
  const folder = await mkdtemp(join(tmpdir(), 'antequem-calendars-'));
  ends.push(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'key'), SENDER_KEY);
  mine(20);
  const { targets, ots, bitcoin } = readConfig({
    DATABASE_URL: 'postgres:///none',
    ORIGIN: 'log.test',
    LOG_SEED_FILE: 'none',
    EVM_RPC_URLS: chain.url,
    EVM_CHAIN_ID: '31337',
    EVM_PRIVATE_KEY_FILE: join(folder, 'key'),
    OTS_CALENDARS: [...good.map(({ url }) => url), ...bad.map(({ gate }) => gate.url)].join(),
    BITCOIN_RPC_URL: node.url,
  });
  if (ots === null) throw new Error('no calendars');
  service = await testService({
    config: {
      roles: ['api', 'worker'],
      roundInterval: 500,
      reconcileInterval: 1_000,
      targets: targets.map((target) => ({ ...target, ephemeral: true })),
      ots: { ...ots, ephemeral: true },
      bitcoin,
    },
  });
  ends.push(() => service[Symbol.asyncDispose]());
  await service.send('PUT', '/v1/logs/demo');
});

afterAll(async () => {
  for (let end = ends.pop(); end !== undefined; end = ends.pop()) await end();
});

describe('with most calendars at fault', () => {
  test('appends are answered, rounds close, and the EVM chain and Bitcoin take the entry', async () => {
    expect((await service.send('POST', '/v1/logs/demo/entries', { body: 'said' })).status).toBe(201);
    expect((await receiptWhen('finalized')).map(({ status }) => status)).toContain('finalized');
    await expect
      .poll(() => good.map(({ asked }) => asked.length > 0), { timeout: 120_000 })
      .toEqual([true, true, true]);
    for (const calendar of good.slice(0, 2)) mine(1, calendar.stamped(headers.length));
    mine(6);
    const stamped = (await receiptWhen('bitcoin')).find(({ type }) => type === 'opentimestamps');
    expect(stamped?.status).toBe('confirmed');
    await expect
      .poll(
        async () => {
          during = await readRound();
          return FAULTS.map(({ problem }, i) => problem.test(submission(during, bad[i]?.gate.url)?.problem ?? ''));
        },
        { timeout: 120_000 },
      )
      .toEqual(FAULTS.map(() => true));
    expect((await service.send('POST', '/v1/logs/demo/entries', { body: 'more' })).status).toBe(201);
  });

  test.each(FAULTS.map((fault, i) => ({ ...fault, i })))(
    '$name: what is wrong and when it is asked again shows',
    ({ i }) => {
      expect(submission(during, bad[i]?.gate.url)).toMatchObject({
        state: 'waiting',
        lastTry: expect.stringMatching(/Z$/),
        nextTry: expect.stringMatching(/Z$/),
      });
    },
  );

  test('who is named and not configured is not asked, and that shows', async () => {
    expect(trap.asked).toEqual([]);
    expect(submission(during, good[2]?.url)).toMatchObject({ state: 'answered', problem: null });
    const [ots] = during.filter(({ type }) => type === 'opentimestamps');
    expect(ots?.calendars?.filter(({ calendar }) => calendar === trap.url)).toEqual([
      {
        calendar: trap.url,
        request: 'upgrade',
        state: 'ignored',
        problem: 'not configured (OTS_CALENDARS), so it is not asked',
        lastTry: null,
        nextTry: null,
      },
    ]);
  });
});

describe('once they are in order', () => {
  test('all calendars are in the receipt, and no answer was asked for twice', async () => {
    for (const { calendar, gate } of bad) {
      calendar.behaviour = null;
      await gate.set('open');
    }
    await expect
      .poll(
        async () => {
          after = await readRound();
          return bad.map(({ gate }) => submission(after, gate.url)?.state);
        },
        { timeout: 120_000 },
      )
      .toEqual(bad.map(() => 'answered'));
    for (const { calendar } of bad) mine(1, calendar.stamped(headers.length));
    mine(6);
    const lines = async (): Promise<string[]> => {
      const anchor = (await receiptWhen('bitcoin')).find(({ type }) => type === 'opentimestamps');
      if (anchor?.type !== 'opentimestamps') return [];
      const timestamp = parseTimestamp(fromBase64(anchor.timestamp), fromHex(root));
      return [...timestampLines(timestamp)].map(({ attestation }) => attestation.kind).sort();
    };
    await expect
      .poll(lines, { timeout: 120_000 })
      .toEqual([...Array.from({ length: 2 + bad.length }, () => 'bitcoin'), 'pending']);
    const posts = good.map(({ asked }) => asked.filter((each) => each === `POST ${root}`).length);
    expect(posts).toEqual([1, 1, 1]);
    expect(trap.asked).toEqual([]);
  });
});
