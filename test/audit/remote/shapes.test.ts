// Histories of all shapes: many logs in a round, many rounds, tiles of the second level, audits in small portions and in
// between.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { FolderSource } from '../../../src/audit/remote/folder-source.ts';
import { composeReceipt } from '../../../src/audit/remote/receipt.ts';
import { toHex, utf8 } from '../../../src/core/bytes.ts';
import { commitTo } from '../../../src/core/entry.ts';
import { parseVerifierKey } from '../../../src/core/note.ts';
import { parseReceipt, receiptPath } from '../../../src/core/receipt.ts';
import { verifyReceipt } from '../../../src/verify/verify.ts';
import { type ForgedStory, forgeMirror, NEW_YEAR } from '../forged.ts';
import { auditOf, codesOf, temporaryFolder } from '../ground.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

function write(story: ForgedStory, name = 'mirror'): string {
  const at = join(folder.path, name);
  rmSync(at, { recursive: true, force: true });
  forgeMirror(at, story);
  return at;
}

const MINUTE = 60_000;
const MANY_LOGS = Object.fromEntries(Array.from({ length: 520 }, (_, i) => [`log-${i}`, (i % 7) + 1]));

test('a round of 520 logs has its leaves in three bundles, and all are looked at', async () => {
  const at = write({ logs: MANY_LOGS, rounds: [{ closedAt: NEW_YEAR + MINUTE, sizes: MANY_LOGS }] });
  const { findings, result } = await auditOf({ at });
  expect([findings, result.logs, result.unrounded]).toEqual([[], 521, 0]);
  rmSync(join(at, 'v1/audit/rounds/001.leaves/002'));
  const cut = await auditOf({ at });
  expect(codesOf(cut)).toContain('round-broken');
});

describe('320 rounds, two logs', () => {
  const story: ForgedStory = {
    logs: { busy: 640, slow: 5 },
    receivedAt: (log, index) => NEW_YEAR + (log === 'busy' ? Math.floor(index / 2) : index * 70) * MINUTE,
    rounds: Array.from({ length: 320 }, (_, i) => ({
      closedAt: NEW_YEAR + i * MINUTE,
      sizes: { busy: 2 * (i + 1), ...(i % 70 === 0 ? { slow: i / 70 + 1 } : {}) },
    })),
  };

  test('in portions of every size, and broken off after any of them', async () => {
    const at = write(story);
    const whole = await auditOf({ at });
    expect([codesOf(whole), whole.result.rounds, whole.result.unrounded]).toEqual([[], 320, 0]);
    expect(whole.result.checkpoints).toBe(320 * 2 + 5 + 2 + 1);
    for (const holding of [
      { acts: 1, bytes: 64 << 20 },
      { acts: 100, bytes: 64 << 20 },
      { acts: 8_192, bytes: 8_000 },
    ]) {
      const parts = await auditOf({ at, holding });
      expect([codesOf(parts), parts.result.entries]).toEqual([[], whole.result.entries]);
    }
    const remember = join(folder.path, 'broken-off.json');
    for (let at_ = 0, stops = 0; ; stops++) {
      let asked = 0;
      // Each audit comes a little further than the one before, and ends in the middle of something.
      const clock = (): number => (at_ += 1_000);
      const ended = await auditOf({
        at,
        remember,
        clock,
        holding: { acts: 64, bytes: 64 << 20 },
        onProgress: () => {
          if (++asked === 150) throw new Error('broken off');
        },
      }).catch((error: unknown) => error);
      if (!(ended instanceof Error)) {
        expect(stops).toBeGreaterThan(3);
        expect(ended).toMatchObject({ findings: [], result: { rounds: 320, unrounded: 0 } });
        break;
      }
      expect(ended.message).toBe('broken off');
    }
  });

  test('audited in between, it is audited to the end; what is another history by then is not', async () => {
    const remember = join(folder.path, 'between.json');
    const early = { ...story, logs: { busy: 303, slow: 3 }, rounds: story.rounds.slice(0, 150) };
    expect(codesOf(await auditOf({ at: write(early), remember }))).toEqual([]);
    const late = await auditOf({ at: write(story), remember });
    expect([codesOf(late), late.result.rounds]).toEqual([[], 320]);
    // Round 151 ends amid what was in no round then: that was read again, from the newest round on.
    expect(late.result.entries).toBe(640 - 300 + 2 + 170);
    const other = { ...story, payload: (log: string, index: number) => `${log} ${index === 639 ? 'other' : index}` };
    expect(codesOf(await auditOf({ at: write(other), remember }))).toContain('log-rewritten');
  });
});

test('70,000 entries: a tile of the second level, one altered in it', async () => {
  const at = write({ logs: { large: 70_000 }, rounds: [{ closedAt: NEW_YEAR + 70_000, sizes: { large: 65_537 } }] });
  expect(codesOf(await auditOf({ at }))).toEqual([]);
  rmSync(join(at, 'logs/large/tile/1/000'));
  expect((await auditOf({ at })).findings[0]).toMatchObject({ code: 'tile-missing', log: 'large', index: 0 });
});

describe('without an API key', () => {
  test('logs whose keys are given are audited, and rounds are not', async () => {
    const at = write({ logs: { demo: 400 }, rounds: [{ closedAt: NEW_YEAR + MINUTE, sizes: { demo: 300 } }] });
    const { verifierKey } = JSON.parse(
      Buffer.from((await new FolderSource(at).read('v1/audit/service', 9_999))!).toString(),
    );
    rmSync(join(at, 'v1'), { recursive: true });
    const remember = join(folder.path, 'public.json');
    const { verdict, result } = await auditOf({ at, remember, verifiers: [parseVerifierKey(verifierKey)] });
    expect([verdict.result, result.entries]).toEqual(['unproven', 2]);
    expect(verdict.claims.map(({ code }) => code)).toContain('rounds-not-read');
    const again = await auditOf({ at, remember, verifiers: [parseVerifierKey(verifierKey)] });
    expect([again.result.entries, again.result.resumed]).toEqual([0, 2]);
    await expect(auditOf({ at })).rejects.toMatchObject({ code: 'service-unknown' });
  });
});

test('a receipt of every kind of place in a log leads to the root of its round', async () => {
  const rounds = [300, 600].map((size, i) => ({
    closedAt: NEW_YEAR + (i + 1) * MINUTE,
    sizes: { demo: size, other: i + 1 },
  }));
  const receivedAt = (_: string, index: number): number => NEW_YEAR + (index < 300 ? 0 : MINUTE) + index;
  const at = write({ logs: { demo: 700, other: 2 }, rounds, receivedAt });
  const source = new FolderSource(at);
  for (const index of [0, 1, 255, 256, 299, 300, 511, 512, 599, 600, 699]) {
    const payload = utf8(`demo ${index}`);
    const nonce = sha256(utf8(`nonce of demo ${index}`)).slice(0, 16);
    const receipt = parseReceipt(await composeReceipt(source, 'demo', index, { digest: sha256(payload), nonce }));
    const { result } = await verifyReceipt({ receipt, payload }, {});
    expect([index, result]).toEqual([index, 'unproven']);
    if (!('round' in receipt)) expect(index).toBeGreaterThanOrEqual(600);
    else {
      expect([receipt.round.number, toHex(receiptPath(receipt).root)]).toEqual([
        index < 300 ? 1 : 2,
        receipt.round.root,
      ]);
    }
    expect(commitTo(sha256(payload), nonce)).toHaveLength(32);
  }
  const wrong = { digest: new Uint8Array(32), nonce: new Uint8Array(16) };
  await expect(composeReceipt(source, 'demo', 0, wrong)).rejects.toMatchObject({ code: 'commitment-differs' });
  await expect(composeReceipt(source, 'demo', 700, wrong)).rejects.toMatchObject({ code: 'entry-not-found' });
  await expect(composeReceipt(source, 'none', 0, wrong)).rejects.toMatchObject({ code: 'log-not-found' });
});
