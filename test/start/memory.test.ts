import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';

const memory = pathToFileURL(join(import.meta.dirname, '../../src/start/memory.ts')).href;
const PROGRAM = `
  import(${JSON.stringify(memory)}).then(({ beginWithServiceMemory }) => {
    beginWithServiceMemory();
    const { pid, execArgv, argv, env } = process;
    console.log(JSON.stringify({ pid, execArgv, given: argv.slice(1), arenas: env.MALLOC_ARENA_MAX ?? null }));
  })`;
/** V8 tells on standard error of a flag that it does not know. */
const TUNED = `
  import(${JSON.stringify(memory)}).then(({ tuneCollector }) => {
    tuneCollector();
    console.log('tuned');
  })`;
const told = z.object({
  pid: z.number(),
  execArgv: z.array(z.string()),
  given: z.array(z.string()),
  arenas: z.string().nullable(),
});

/** What a process says of itself that begins with the memory of the service. */
function begin(flags: readonly string[] = [], env: Readonly<Record<string, string>> = {}) {
  const { pid, stdout, stderr } = spawnSync(process.execPath, [...flags, '-e', PROGRAM, 'a b', '--c'], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, ...env },
  });
  expect(stderr).toBe('');
  return { started: pid, ...told.parse(JSON.parse(stdout)) };
}

describe.skipIf(process.platform === 'win32')('a process that takes as much memory as a service should', () => {
  it('is still the one that was started, with the same arguments', () => {
    const { started, pid, execArgv, given, arenas } = begin();
    expect(pid).toBe(started);
    expect(execArgv).toContain('--max-semi-space-size=16');
    expect([given, arenas]).toEqual([['a b', '--c'], '2']);
  });

  it.each([
    ['a flag', ['--max-semi-space-size=4'], {}],
    ['NODE_OPTIONS', [], { NODE_OPTIONS: '--max-semi-space-size=4' }],
  ])('is left alone where %s chose otherwise', (_, flags, env) => {
    const { execArgv, arenas } = begin(flags, env);
    expect(execArgv).not.toContain('--max-semi-space-size=16');
    expect(arenas).toBeNull();
  });

  it('keeps what its environment says of memory', () => {
    expect(begin([], { MALLOC_ARENA_MAX: '3' }).arenas).toBe('3');
  });
});

it('V8 knows how garbage is to be collected', () => {
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', TUNED], { encoding: 'utf8' });
  expect([stdout, stderr]).toEqual(['tuned\n', '']);
});
