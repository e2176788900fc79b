// The witness that the transparency-dev project runs, as it is published: built by Go, in a process of its own.

import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const VERSION = 'v0.0.0-20260720115447-2e1c6971d19e';
const MODULE = 'github.com/transparency-dev/witness/cmd';
const PATH = [process.env.PATH, '/usr/local/go/bin'].join(delimiter);
const run = promisify(execFile);

/** Why it cannot be built here; null: it can. */
export const goMissing: string | null =
  spawnSync('go', ['version'], { env: { ...process.env, PATH } }).status === 0 ? null : 'Go is not installed';

export class Omniwitness implements AsyncDisposable {
  readonly name = 'omniwitness.example/w';
  /** Of type 0x04, or 0x06 for ML-DSA-44. */
  readonly vkey: string;
  readonly url: string;
  readonly #folder: string;
  #child: ChildProcess | null = null;

  private constructor(folder: string, vkey: string, port: number) {
    this.#folder = folder;
    this.vkey = vkey;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Builds it and makes its key. It runs once it is told of logs. */
  static async build(key: 'ed25519' | 'ml-dsa-44' = 'ed25519'): Promise<Omniwitness> {
    const folder = await mkdtemp(join(tmpdir(), 'antequem-omniwitness-'));
    const env = { ...process.env, PATH, GOBIN: folder };
    for (const command of ['omniwitness', 'generate_keys']) {
      await run('go', ['install', `${MODULE}/${command}@${VERSION}`], { env });
    }
    const [secret, open] = [join(folder, 'key'), join(folder, 'key.pub')];
    await run(join(folder, 'generate_keys'), [
      '--origin=omniwitness.example/w',
      `--out_priv=${secret}`,
      `--out_pub=${open}`,
      `--mldsa=${key === 'ml-dsa-44'}`,
    ]);
    return new Omniwitness(folder, (await readFile(open, 'utf8')).trim(), await freePort());
  }

  /** Starts it, or starts it again, with these logs, and those of a list, beside those it was told of before. */
  async know(verifierKeys: readonly string[], list?: string): Promise<void> {
    await this.stop();
    const logs = verifierKeys.map((vkey) => {
      const origin = vkey.split('+')[0] ?? '';
      return `  - Origin: ${origin}\n    URL: http://127.0.0.1:9/\n    PublicKey: ${vkey}\n    Feeder: none\n`;
    });
    const file = join(this.#folder, 'logs.yaml');
    await writeFile(file, `Logs:\n${logs.join('')}`);
    const child = spawn(
      join(this.#folder, 'omniwitness'),
      [
        `--listen=${new URL(this.url).host}`,
        '--metrics_listen=',
        `--db_file=${join(this.#folder, 'state.db')}`,
        `--private_key_path=${join(this.#folder, 'key')}`,
        `--additional_logs=${file}`,
        '--logtostderr',
        ...(list === undefined ? [] : [`--public_witness_config_url=${list}`]),
      ],
      // Nothing but loopback is asked.
      {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { PATH, HTTP_PROXY: 'http://127.0.0.1:9', HTTPS_PROXY: 'http://127.0.0.1:9' },
      },
    );
    let said = '';
    child.stderr.on('data', (text) => {
      said += text;
    });
    this.#child = child;
    for (let i = 0; i < 100; i++) {
      if (child.exitCode !== null) throw new Error(`omniwitness ended: ${said}`);
      const answer = await fetch(`${this.url}/add-checkpoint`, { method: 'POST', body: '' }).catch(() => null);
      if (answer !== null) return;
      await sleep(100);
    }
    throw new Error(`omniwitness does not answer: ${said}`);
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null) return;
    child.kill();
    await once(child, 'exit');
  }

  /** It forgets what it has cosigned. */
  async forget(): Promise<void> {
    await this.stop();
    for (const end of ['', '-wal', '-shm']) await rm(join(this.#folder, `state.db${end}`), { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.#folder, { recursive: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}
