// Rounds that are made to fill an auditor's memory, or to keep it busy without end.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { Findings } from '../../../src/audit/checks/findings.ts';
import { FolderSource } from '../../../src/audit/remote/folder-source.ts';
import { Heads } from '../../../src/audit/remote/heads.ts';
import { HttpSource } from '../../../src/audit/remote/http-source.ts';
import { composeReceipt } from '../../../src/audit/remote/receipt.ts';
import { ShownLogs } from '../../../src/audit/remote/shown-logs.ts';
import { Walker } from '../../../src/audit/remote/walker.ts';
import { fromHex, toHex, utf8 } from '../../../src/core/bytes.ts';
import { encodeCheckpointLeaf, parseCheckpointLeaf } from '../../../src/core/round.ts';
import { FORGED_ORIGIN, forgeMirror, NEW_YEAR } from '../forged.ts';
import { auditOf, temporaryFolder } from '../ground.ts';
import { openServer, sendFile } from '../liar.ts';

interface Leaf {
  leaf: string;
  checkpoint?: string;
}

const ROUND = 'v1/audit/rounds/001';
const FURTHER = /^v1\/audit\/rounds\/001\.leaves\//;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let round: { size: number; leaves: Leaf[] };
beforeAll(async () => {
  folder = await temporaryFolder();
  forgeMirror(folder.path, { logs: { demo: 300 }, rounds: [{ closedAt: NEW_YEAR + 1_000, sizes: { demo: 300 } }] });
  round = JSON.parse(readFileSync(join(folder.path, ROUND), 'utf8'));
});
afterAll(() => folder.remove());

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server[Symbol.asyncDispose]();
});

/** The service with another round 1, all of whose further bundles are one and the same. */
async function serve(
  first: Partial<typeof round>,
  further: readonly Leaf[],
): Promise<{ url: string; asked: string[] }> {
  const server = await openServer((path, response) => {
    if (path === ROUND) response.end(JSON.stringify({ ...round, ...first }));
    else if (FURTHER.test(path)) response.end(JSON.stringify({ leaves: further }));
    else sendFile(folder.path, path, response);
  });
  open.push(server);
  return server;
}

/** The first round that is broken, and how many further bundles of it were read. */
async function brokenRound(first: Partial<typeof round>, further: readonly Leaf[]): Promise<[unknown, number]> {
  const { url, asked } = await serve(first, further);
  const { findings } = await auditOf({ at: url });
  return [
    findings.find(({ code }) => code === 'round-broken')?.says,
    asked.filter((path) => FURTHER.test(path)).length,
  ];
}

/** So many digests, in order. */
function digests(count: number): Leaf[] {
  return Array.from({ length: count }, (_, i) => ({ leaf: `82${i.toString(16).padStart(64, '0')}` }));
}

/** Leaf of demo, at another size. */
function grown(size: number): Leaf {
  const { leaf, checkpoint } = round.leaves.find(({ checkpoint }) => checkpoint?.includes('/demo\n'))!;
  return {
    leaf: toHex(encodeCheckpointLeaf({ ...parseCheckpointLeaf(fromHex(leaf)), size })),
    checkpoint: checkpoint!,
  };
}

describe('an audit', () => {
  test('of a round with one log over and over, at rising sizes, stops at the second', async () => {
    const leaves = [round.leaves[0]!, ...Array.from({ length: 255 }, (_, i) => grown(i + 1))];
    const [says, read] = await brokenRound({ size: 256 * 400, leaves }, leaves);
    expect([says, read]).toEqual(['leaf 2 of round 1 is out of order', 0]);
  });

  test('of a round that tells of more leaves than any has does not look for them', async () => {
    const [says, read] = await brokenRound({ size: 2 ** 40, leaves: [round.leaves[0]!, ...digests(255)] }, []);
    expect([says, read]).toEqual([expect.stringContaining('round 1 tells of 1099511627776 leaves'), 0]);
  });

  test.each([
    ['without leaves', []],
    ['of one leaf', digests(1)],
  ])('of a round whose bundles are %s stops at the first of them', async (_, further) => {
    const leaves = [round.leaves[0]!, ...digests(255)];
    const [says, read] = await brokenRound({ size: 100_000, leaves }, further);
    expect(says).toBe('round 1 has 256 leaves, and says 100000');
    // It, and those that were asked for ahead.
    expect(read).toBeLessThanOrEqual(3);
  });

  test('of a round that begins with too few leaves, or has too many, does not take them', async () => {
    for (const leaves of [[], round.leaves.slice(0, 2), [...round.leaves, ...digests(1)]]) {
      const [says] = await brokenRound({ leaves }, []);
      expect(says).toBe('round 1 has 0 leaves, and says 3');
    }
  });

  test('of a round with notes longer than any checkpoint does not take it', async () => {
    const leaves = round.leaves.map(({ leaf }) => ({ leaf, checkpoint: 'x'.repeat(8_193) }));
    expect(await brokenRound({ leaves }, [])).toEqual(['what is served as round 1 is not a round', 0]);
  });

  test('looks at logs as soon as it holds as many bytes of rounds as it may', async () => {
    const many = await temporaryFolder();
    const rounds = Array.from({ length: 40 }, (_, i) => ({ closedAt: NEW_YEAR + 100 + i, sizes: { demo: i + 1 } }));
    forgeMirror(many.path, { logs: { demo: 40 }, rounds });
    const orderOf = async (bytes: number): Promise<boolean> => {
      const server = await openServer((path, response) => sendFile(many.path, path, response));
      open.push(server);
      const { findings } = await auditOf({ at: server.url, holding: { acts: 8_192, bytes } });
      expect(findings).toEqual([]);
      const log = server.asked.findIndex((path) => path.startsWith('logs/demo/tile/'));
      return log < server.asked.indexOf('v1/audit/rounds/040');
    };
    expect([await orderOf(5_000), await orderOf(1 << 20)]).toEqual([true, false]);
    await many.remove();
  });

  test('holds nothing of a log that is broken', async () => {
    const source = new FolderSource(folder.path);
    const findings = new Findings();
    const log = new ShownLogs(FORGED_ORIGIN).add('demo', []);
    const heads = new Heads(source, findings);
    const walker = new Walker({ source, keeper: null, findings, heads, onBegin: () => {}, onWalked: async () => {} });
    log.broken = true;
    log.leaves.push({ size: 1, round: 1, leaf: new Uint8Array(73), closedAt: null });
    log.checkpoints.push({ size: 1, root: new Uint8Array(32), note: '' });
    log.floors.push({ index: 0, time: 0, round: 1 });
    await walker.toRound(log);
    expect([log.leaves, log.checkpoints, log.floors]).toEqual([[], [], []]);
  });
});

test.each<[string, number, () => Leaf[], () => Leaf[]]>([
  ['has bundles without leaves', 1_000, () => [round.leaves[0]!, ...digests(255)], () => []],
  ['tells of leaves without end', 2 ** 40, () => [round.leaves[0]!, ...digests(255)], () => digests(256)],
  ['begins with too few leaves', 1_000, () => round.leaves, () => digests(256)],
  ['has more leaves than it tells of', 2, () => round.leaves, () => []],
])('no receipt is made of a round that %s', async (_, size, first, further) => {
  const { url } = await serve({ size, leaves: first() }, further());
  const source = new HttpSource({ url, pause: 1 });
  const secret = { digest: sha256(utf8('demo 7')), nonce: sha256(utf8('nonce of demo 7')).slice(0, 16) };
  try {
    const composed = composeReceipt(source, 'demo', 7, secret);
    await expect(composed).rejects.toMatchObject({ code: 'mirror-damaged' });
  } finally {
    source.close();
  }
});
