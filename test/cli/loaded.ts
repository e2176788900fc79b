// What a run of the command line loads: listed by the module hooks of Node in the process that runs it.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What makes a command slow to start, and only the service, the database and the chains need. */
export const HEAVY_PACKAGES: readonly string[] = [
  'ethers',
  'pg',
  'bullmq',
  'express',
  'ioredis',
  'pino',
  'prom-client',
];

const RECORDER = `import { appendFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
registerHooks({
  load(url, context, next) {
    appendFileSync(process.env.LOADED_MODULES, url + '\\n');
    return next(url, context);
  },
});`;

export interface Loaded {
  readonly code: number | null;
  readonly stderr: string;
  readonly urls: readonly string[];
  readonly packages: ReadonlySet<string>;
  /** Of src, or of what was emitted from it. */
  readonly folders: ReadonlySet<string>;
}

/** Runs the bin and lists what it loaded. */
export function runAndList(bin: string, args: readonly string[]): Loaded {
  const folder = mkdtempSync(join(tmpdir(), 'antequem-loaded-'));
  try {
    const [recorder, list] = [join(folder, 'recorder.mjs'), join(folder, 'list')];
    writeFileSync(recorder, RECORDER);
    writeFileSync(list, '');
    const { status, stderr } = spawnSync(process.execPath, ['--import', recorder, bin, ...args], {
      encoding: 'utf8',
      env: { ...process.env, LOADED_MODULES: list },
    });
    const urls = readFileSync(list, 'utf8').split('\n');
    const matches = (pattern: RegExp): Set<string> =>
      new Set(urls.map((url) => pattern.exec(url)?.[1]).filter((name) => name !== undefined));
    return {
      code: status,
      stderr,
      urls,
      // The innermost folder of packages tells; the package under test may lie in one itself.
      packages: matches(/.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//),
      folders: matches(/.*\/(?:src|dist)\/([^/]+)\//),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
