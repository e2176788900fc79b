import { spawn, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type KeptServer, plainEnvironment } from './keeper.ts';
import { STOP_SIGNALS } from './postmaster.ts';

const server: KeptServer = JSON.parse(process.argv[2] ?? '');

// Linux can tell the server itself of the keeper's end, which covers a KILL to every Node process at once.
const deathSignal = ['--pdeathsig', 'INT'];
const canTie = process.platform === 'linux' && spawnSync('setpriv', [...deathSignal, 'true']).status === 0;
const [command, ...args] = [...(canTie ? ['setpriv', ...deathSignal] : []), server.command, ...server.args];

const child = spawn(command ?? server.command, args, {
  cwd: '/',
  env: plainEnvironment(),
  detached: true,
  stdio: ['ignore', 'inherit', 'inherit'],
  ...(server.runAs ?? {}),
});

let stopping = false;

async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  for (const [signal, patience] of STOP_SIGNALS) {
    child.kill(signal);
    await sleep(patience);
  }
}

function end(code: number): void {
  for (const folder of server.removeAtEnd) rmSync(folder, { recursive: true, force: true });
  process.exit(code);
}

child.once('error', (error) => {
  console.error(`could not start ${server.command}: ${error.message}`);
  end(1);
});
child.once('exit', () => end(stopping ? 0 : 1));

process.on('SIGINT', () => {});
process.on('SIGHUP', () => {});
process.on('SIGTERM', stop);
process.stdin.once('end', stop).once('error', stop).once('close', stop).resume();
