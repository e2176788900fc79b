// openssl as a timestamp authority over HTTP: test/strangers/tsa.py, in a process of its own.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from './free-port.ts';
import { pem, type Signer } from './tsa.ts';

const STRANGERS = fileURLToPath(new URL('../strangers/', import.meta.url));
const CONFIG = 'ts.cnf';

export class OpensslAuthority implements AsyncDisposable {
  readonly url: string;
  readonly #folder: string;
  readonly #child: ChildProcess;

  private constructor(folder: string, child: ChildProcess, url: string) {
    this.#folder = folder;
    this.#child = child;
    this.url = url;
  }

  /** @param chain certificates that tokens bring besides that of the signer */
  static async start(signer: Signer, chain: readonly Signer[] = []): Promise<OpensslAuthority> {
    const folder = mkdtempSync(join(tmpdir(), 'antequem-openssl-authority-'));
    const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
    copyFileSync(join(STRANGERS, CONFIG), join(folder, CONFIG));
    write('signer.pem', pem(signer.certificate));
    write('signer.key', signer.key.export({ type: 'pkcs8', format: 'pem' }).toString());
    if (chain.length > 0) write('chain.pem', pem(...chain.map(({ certificate }) => certificate)));
    const port = await freePort();
    const files = [CONFIG, 'signer.pem', 'signer.key', ...(chain.length > 0 ? ['chain.pem'] : [])];
    const child = spawn('python3', [join(STRANGERS, 'tsa.py'), String(port), ...files], {
      cwd: folder,
      stdio: 'ignore',
    });
    const authority = new OpensslAuthority(folder, child, `http://127.0.0.1:${port}/`);
    for (let tries = 0; ; tries++) {
      const status = await authority.ask(new Uint8Array(), 'text/plain').then(
        (response) => response.status,
        () => null,
      );
      // It takes requests for timestamps alone.
      if (status === 415) return authority;
      if (status !== null || tries === 300 || child.exitCode !== null)
        throw new Error(`tsa.py does not answer: ${status}`);
      await sleep(100);
    }
  }

  ask(query: Uint8Array, type = 'application/timestamp-query'): Promise<Response> {
    return fetch(this.url, { method: 'POST', headers: { 'content-type': type }, body: new Uint8Array(query) });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill();
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true });
  }
}
