// What a new kind of anchor costs, shown by a small real one: new-kind.patch adds a kind that appends roots to a file. It is
// applied to a copy of the tree, so the tree itself stays without it. To change the patch: apply it (`git apply`), edit,
// `git diff -U1`.

import { execFileSync, spawnSync } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PATCH = fileURLToPath(new URL('new-kind.patch', import.meta.url));
const COPIED = ['src', 'test', 'scripts', 'package.json', 'tsconfig.json', 'vitest.config.ts'];
/** Files of src that a new kind may change, beside its own folder and a migration of its own. */
const MOST_EDITS = 12;
const LIMIT_MS = 900_000;

let copy: string;

beforeAll(async () => {
  copy = await mkdtemp(join(tmpdir(), 'antequem-new-kind-'));
  for (const name of COPIED) await cp(join(ROOT, name), join(copy, name), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  const include = ['src', 'test/anchor/file-kind.test.ts'];
  await writeFile(join(copy, 'tsconfig.kind.json'), JSON.stringify({ extends: './tsconfig.json', include }));
}, LIMIT_MS);

afterAll(() => rm(copy, { recursive: true, force: true }));

function apply(...how: string[]): void {
  execFileSync('git', ['apply', '--whitespace=nowarn', ...how, PATCH], { cwd: copy });
}

/** Files of src in which the compiler finds errors, and the test of the new kind if it is one of them. */
function faultyFiles(project: string): string[] {
  const { stdout } = spawnSync(join(copy, 'node_modules/.bin/tsc'), ['--noEmit', '-p', project], {
    cwd: copy,
    encoding: 'utf8',
  });
  const files = [...stdout.matchAll(/^((?:src|test\/anchor)\/\S+\.tsx?)\(\d+,\d+\): error/gm)];
  return [...new Set(files.map(([, file = '']) => file))].sort();
}

describe('a new kind of anchor', { timeout: LIMIT_MS }, () => {
  test(`changes at most ${MOST_EDITS} files elsewhere in src`, async () => {
    const patch = await readFile(PATCH, 'utf8');
    const files = [...patch.matchAll(/^\+\+\+ b\/(src\/.+)$/gm)].map(([, file = '']) => file);
    const edits = files.filter((file) => !/^src\/(file|store\/migrations)\//.test(file));
    console.log(`a new kind edits ${edits.length} files elsewhere in src:\n  ${edits.join('\n  ')}`);
    expect(edits.length).toBeGreaterThan(0);
    expect(edits.length).toBeLessThanOrEqual(MOST_EDITS);
  });

  test('once its form is known the compiler names the places where it is missing', () => {
    apply('--include=src/core/receipt-schema.ts');
    expect(faultyFiles('tsconfig.kind.json')).toEqual([
      'src/audit/remote/kinds.ts',
      'src/core/receipt-merge.ts',
      'src/kinds.ts',
      'src/start/targets.ts',
      'src/verify/anchors.ts',
    ]);
    expect(faultyFiles('src/web')).toContain('src/web/service/entry.tsx');
  });

  test('with the whole patch it compiles, and works from the round to both audits', () => {
    apply('--exclude=src/core/receipt-schema.ts');
    expect([...faultyFiles('tsconfig.kind.json'), ...faultyFiles('src/web')]).toEqual([]);
    const outer = Object.entries(process.env).filter(([name]) => !name.startsWith('VITEST'));
    const run = spawnSync(
      process.execPath,
      ['node_modules/vitest/vitest.mjs', 'run', '--maxWorkers=1', 'test/anchor/file-kind.test.ts'],
      { cwd: copy, encoding: 'utf8', env: { ...Object.fromEntries(outer), NO_COLOR: '1' } },
    );
    expect([run.status, run.stdout + run.stderr]).toEqual([0, expect.stringContaining('1 passed')]);
  });
});
