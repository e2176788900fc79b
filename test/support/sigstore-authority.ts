// sigstore's timestamp authority as it is published: built by Go, with a key and a chain of its own in memory.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';

const SERVER = 'github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server@v2.1.3';
const PATH = [process.env.PATH, '/usr/local/go/bin'].join(delimiter);
const run = promisify(execFile);

export class SigstoreAuthority implements AsyncDisposable {
  readonly url: string;
  /** PEM. */
  readonly ca: Uint8Array;
  readonly #folder: string;
  readonly #child: ChildProcess;

  private constructor(folder: string, child: ChildProcess, url: string, ca: Uint8Array) {
    this.#folder = folder;
    this.#child = child;
    this.url = url;
    this.ca = ca;
  }

  static async start(): Promise<SigstoreAuthority> {
    const folder = await mkdtemp(join(tmpdir(), 'antequem-sigstore-'));
    await run('go', ['install', SERVER], { env: { ...process.env, PATH, GOBIN: folder } });
    const port = await freePort();
    const child = spawn(
      join(folder, 'timestamp-server'),
      [
        'serve',
        '--host',
        '127.0.0.1',
        '--port',
        String(port),
        '--timestamp-signer',
        'memory',
        '--disable-ntp-monitoring',
      ],
      { stdio: 'ignore' },
    );
    const base = `http://127.0.0.1:${port}/api/v1/timestamp`;
    for (let tries = 0; ; tries++) {
      try {
        const chain = await fetch(`${base}/certchain`);
        return new SigstoreAuthority(folder, child, base, new Uint8Array(await chain.arrayBuffer()));
      } catch (error) {
        if (tries === 600 || child.exitCode !== null) throw error;
        await sleep(100);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill();
    await ended;
    await rm(this.#folder, { recursive: true });
  }
}
