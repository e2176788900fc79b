// Runs the command line as people do: the bin, in a process of its own.

import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const BIN = fileURLToPath(new URL('../../src/cli/antequem.js', import.meta.url));

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly cwd?: string;
  readonly env?: Record<string, string>;
}

export function start(args: readonly string[], options: RunOptions = {}): ChildProcess {
  const env: NodeJS.ProcessEnv = { ...process.env, NO_COLOR: '1', ...options.env };
  delete env.FORCE_COLOR;
  if (options.env?.ANTEQUEM_URL === undefined) delete env.ANTEQUEM_URL;
  if (options.env?.ANTEQUEM_API_KEY === undefined) delete env.ANTEQUEM_API_KEY;
  return spawn(process.execPath, [BIN, ...args], { cwd: options.cwd, env, stdio: 'pipe' });
}

export async function run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return finished(start(args, options), options.input ?? '');
}

export async function finished(child: ChildProcess, input?: string): Promise<Ran> {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  // A command that does not read its input may be gone before it is written.
  child.stdin?.on('error', () => {});
  if (input !== undefined) child.stdin?.end(input);
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, stdout, stderr };
}
