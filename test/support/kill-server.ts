import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** Ends a process as a loss of power does, and waits until it is gone. One that has ended already is left alone. */
export async function killServer(server: ChildProcess | null): Promise<void> {
  if (server === null || server.exitCode !== null || server.signalCode !== null) return;
  const ended = once(server, 'exit');
  server.kill('SIGKILL');
  await ended;
}
