import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import { type Endpoints, readEndpoints } from '../../scripts/local/endpoints.ts';
import type { ProcessFacts } from '../../scripts/local/process-table.ts';
import { DEEP } from '../support/deep.ts';
import { family, member, survivors } from './processes.ts';

const project = resolve(import.meta.dirname, '../..');
const dataDir = mkdtempSync(join(tmpdir(), 'antequem-supervision-'));
const environment = {
  // npx hands its settings down by environment, which the npm and npx started here must not take for theirs.
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|DATABASE_URL|VITEST)/i.test(name))),
  DATA_DIR: dataDir,
  PORT: '0',
};
const started: ProcessFacts[] = [];

interface Running {
  readonly child: ChildProcess;
  readonly endpoints: Endpoints;
  readonly processes: ProcessFacts[];
  readonly exit: Promise<number | null>;
  output(): string;
}

/** `group`: in a process group of its own, as a terminal starts a command. */
async function start(command: string, args: readonly string[], group = false): Promise<Running> {
  const before = readEndpoints(dataDir)?.startedAt;
  const child = spawn(command, args, {
    cwd: project,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: group,
  });
  let output = '';
  child.stdout.on('data', (text: Buffer) => (output += text));
  child.stderr.on('data', (text: Buffer) => (output += text));
  const exit = new Promise<number | null>((done) => child.once('exit', done));
  for (let endpoints = readEndpoints(dataDir); ; endpoints = readEndpoints(dataDir)) {
    if (endpoints !== null && endpoints.startedAt !== before) {
      const processes = family(child.pid ?? 0);
      started.push(...processes);
      return { child, endpoints, processes, exit, output: () => output };
    }
    if (child.exitCode !== null) throw new Error(`it ended while starting:\n${output}`);
    await sleep(50);
  }
}

type Case = [name: string, begin: () => Promise<Running>, end: (running: Running) => void];

const direct = () => start(process.execPath, ['scripts/local/start.mjs']);

/** A row for each start; how many there are tells whether all before were kept. */
async function addRow({ endpoints }: Running): Promise<number> {
  const client = new pg.Client({ connectionString: endpoints.databaseUrl });
  await client.connect();
  await client.query('CREATE TABLE IF NOT EXISTS supervision_rows (n serial)');
  await client.query('INSERT INTO supervision_rows DEFAULT VALUES');
  const { rows } = await client.query<{ count: string }>('SELECT count(*) FROM supervision_rows');
  await client.end();
  return Number(rows[0]?.count);
}

afterAll(async () => {
  for (const facts of await survivors(started, 0)) process.kill(facts.pid, 'SIGKILL');
  const pointer = join(dataDir, 'postgres.json');
  if (existsSync(pointer)) rmSync(JSON.parse(readFileSync(pointer, 'utf8')).folder, { recursive: true, force: true });
  rmSync(dataDir, { recursive: true, force: true });
});

describe('whatever ends local mode leaves no process behind, and the next start has the data', () => {
  const launcher = /start\.mjs/;
  const bothAtOnce: Case = [
    'SIGKILL to launcher and the process over PostgreSQL at once',
    direct,
    ({ processes }) => {
      kill(processes, launcher);
      kill(processes, /postgres-process/);
    },
  ];
  const cases: Case[] = [
    ...(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGKILL'] as const).map(
      (signal): Case => [`${signal} to the launcher`, direct, ({ child }) => void child.kill(signal)],
    ),
    ['SIGKILL to the process over PostgreSQL', direct, ({ processes }) => kill(processes, /postgres-process/)],
    ['SIGKILL to PostgreSQL', direct, ({ processes }) => kill(processes, /postgres -D/)],
    ['SIGKILL to the chain', direct, ({ processes }) => kill(processes, /chain-process/)],
    ['SIGKILL to the Bitcoin node', direct, ({ processes }) => kill(processes, /bitcoin-process/)],
    // Linux tells PostgreSQL itself of the end of the process over it. Elsewhere it is left to the next start, which stops it.
    ...(process.platform === 'linux' ? [bothAtOnce] : []),
    ...(
      [
        ['npm', 'npm', ['start']],
        ['npx', 'npx', ['-c', 'true && npm start']],
      ] as const
    ).flatMap(([name, command, args]) => [
      ...(['SIGTERM', 'SIGHUP', 'SIGKILL'] as const).map(
        (signal): Case => [`${signal} to ${name}`, () => start(command, args), ({ child }) => void child.kill(signal)],
      ),
      // What a terminal does on Ctrl-C and when it is closed.
      ...(['SIGINT', 'SIGHUP'] as const).map(
        (signal): Case => [
          `${signal} to the whole group of ${name}`,
          () => start(command, args, true),
          ({ child }) => void process.kill(-(child.pid ?? 0), signal),
        ],
      ),
    ]),
  ];
  /** What a short run does: each kind of end once. */
  const short = [
    'SIGINT to the launcher',
    'SIGKILL to the launcher',
    'SIGKILL to PostgreSQL',
    'SIGKILL to the chain',
    'SIGKILL to launcher and the process over PostgreSQL at once',
    'SIGTERM to npm',
    'SIGINT to the whole group of npm',
    'SIGHUP to the whole group of npx',
  ];
  let rows = 0;

  function kill(processes: readonly ProcessFacts[], command: RegExp): void {
    process.kill(member(processes, command).pid, 'SIGKILL');
  }

  it.each(cases.filter(([name]) => DEEP || short.includes(name)))('%s', async (_name, begin, end) => {
    const running = await begin();
    rows += 1;
    expect(await addRow(running), running.output()).toBe(rows);
    for (const part of [/start\.(mjs|ts)/, /postgres-process/, /postgres -D/, /chain-process/, /bitcoin-process/]) {
      member(running.processes, part);
    }
    end(running);
    expect(await survivors(running.processes, 10_000), running.output()).toEqual([]);
    const socketDir = new URL(running.endpoints.databaseUrl.replace('@/', '@host/')).searchParams.get('host') ?? '';
    expect(existsSync(join(socketDir, '.s.PGSQL.5432'))).toBe(false);
  });

  it('exits with 0 when asked to stop, and removes what told where it answered', async () => {
    const running = await direct();
    rows += 1;
    expect(await addRow(running)).toBe(rows);
    running.child.kill('SIGTERM');
    expect(await running.exit, running.output()).toBe(0);
    expect(readEndpoints(dataDir)).toBeNull();
  });

  it('goes without Bitcoin where its node cannot start', async () => {
    const blocks = join(dataDir, 'bitcoin');
    renameSync(blocks, `${blocks}-aside`);
    writeFileSync(blocks, 'no folder');
    const running = await direct();
    rows += 1;
    expect(await addRow(running)).toBe(rows);
    expect(running.endpoints).toMatchObject({ bitcoinRpcUrl: null, bitcoinChain: null, calendarUrl: null });
    expect(running.output()).toContain('Going on without Bitcoin');
    running.child.kill('SIGTERM');
    expect(await running.exit, running.output()).toBe(0);
    rmSync(blocks);
    renameSync(`${blocks}-aside`, blocks);
  });

  it('goes on when the shell that put it in the background ends', async () => {
    const started = `while ! [ -e "$DATA_DIR/endpoints.json" ]; do sleep 0.2; done; sleep 1`;
    const running = await start('sh', ['-c', `"${process.execPath}" scripts/local/start.mjs & ${started}`]);
    expect(await running.exit).toBe(0);
    const launched = running.processes.slice(1).filter((facts) => facts.command[0] !== 'sleep');
    await sleep(1_500);
    rows += 1;
    expect(await addRow(running)).toBe(rows);
    process.kill(running.endpoints.pid, 'SIGTERM');
    expect(await survivors(launched, 10_000), running.output()).toEqual([]);
  });

  it('tells a second start who holds the data, and leaves the first alone', async () => {
    const running = await direct();
    const second = spawn(process.execPath, ['scripts/local/start.mjs'], { cwd: project, env: environment });
    let says = '';
    second.stdout.on('data', (text: Buffer) => (says += text));
    expect(await new Promise((done) => second.once('close', done))).toBe(1);
    expect(says).toContain(`process ${running.child.pid}`);
    expect(says).toContain(running.endpoints.startedAt.slice(0, 16));
    expect(says).toContain(running.endpoints.url);
    rows += 1;
    expect(await addRow(running)).toBe(rows);
    running.child.kill('SIGINT');
    expect(await running.exit).toBe(0);
    expect(await survivors(running.processes, 0)).toEqual([]);
  });
});
