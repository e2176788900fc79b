// Long tests in laps: a run that was broken off goes on with the laps that have not passed with the same commit.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'vitest';

const LAP_MS = 1_200_000;

/** Each lap is a test of its own, with all its checks. */
export function testInLaps(name: string, laps: number, run: () => Promise<void>): void {
  const folder = passedFolder();
  for (let lap = 1; lap <= laps; lap++) {
    const mark = folder === null ? null : join(folder, `${name.replaceAll(/\W+/g, '-')}-${lap}-of-${laps}`);
    test.skipIf(mark !== null && existsSync(mark))(
      `${name}, lap ${lap} of ${laps}`,
      async () => {
        await run();
        if (mark !== null) writeFileSync(mark, '');
      },
      LAP_MS,
    );
  }
}

/** Where laps are remembered that passed with this commit; null: the files are not those of a commit, so all laps run. */
function passedFolder(): string | null {
  const git = (...args: string[]): string | null => {
    const { status, stdout } = spawnSync('git', args, { encoding: 'utf8' });
    return status === 0 ? stdout.trim() : null;
  };
  const commit = git('rev-parse', 'HEAD');
  if (commit === null || git('status', '--porcelain') !== '') return null;
  const folder = join(tmpdir(), 'antequem-laps', commit);
  mkdirSync(folder, { recursive: true });
  return folder;
}
