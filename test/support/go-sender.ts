import { execFile, execFileSync } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Why the senders in Go cannot be built here; null: they can. */
export const GO_MISSING: string | null = ((): string | null => {
  try {
    execFileSync('go', ['version'], { stdio: 'ignore' });
    return null;
  } catch {
    return 'there is no Go on the PATH';
  }
})();

/** Builds a sender of test/senders; takes a minute or two the first time. Returns a function that runs it to its end. */
export async function goSender(name: 'kubernetes' | 'collector'): Promise<(...args: string[]) => Promise<string>> {
  const binary = join(await mkdtemp(join(tmpdir(), 'antequem-sender-')), name);
  const cwd = new URL(`../senders/${name}/`, import.meta.url);
  await run('go', ['build', '-o', binary, '.'], { cwd, env: { ...process.env, GOFLAGS: '-mod=readonly' } });
  return async (...args) => {
    const { stdout } = await run(binary, args, { maxBuffer: 64 << 20 });
    return stdout;
  };
}
