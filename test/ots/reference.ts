// The reference implementation: Python's, in one process for a whole test file.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import * as z from 'zod/mini';
import { fromHex, toHex } from '../../src/core/bytes.ts';

const PYTHON = '/usr/bin/python3';
const SCRIPT = fileURLToPath(new URL('reference.py', import.meta.url));
const found = spawnSync(PYTHON, ['-c', 'import opentimestamps']).status === 0;

/** Null where tests against it can run, else why they are left out. In CI nothing is left out. */
export const referenceMissing: string | null =
  found || process.env.CI === 'true'
    ? null
    : `${PYTHON} has no opentimestamps (apt-get install python3-opentimestamps)`;

if (referenceMissing !== null) console.warn(`Tests against the reference are skipped: ${referenceMissing}`);

/** What the reference makes of a file; without `bytes` it did not take it. */
export interface Reading {
  /** The name of the Python exception. */
  readonly error?: string | undefined;
  /** The file as the reference writes it. */
  readonly bytes?: string | undefined;
  /** As `meaningOf` in meaning.ts tells it. */
  readonly meaning?: { readonly hash: string; readonly digest: string; readonly attestations: string[] } | undefined;
}

const generated = z.array(z.string());
const readings = z.array(
  z.union([
    z.strictObject({ error: z.string() }),
    z.strictObject({ bytes: z.string(), hash: z.string(), digest: z.string(), attestations: z.array(z.string()) }),
  ]),
);

export class Reference implements Disposable {
  readonly #process: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  readonly #lines: Interface;

  constructor() {
    this.#process = spawn(PYTHON, [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] });
    const { stdout } = this.#process;
    if (stdout === null) throw new Error('no standard output');
    this.#lines = createInterface({ input: stdout });
    this.#answers = this.#lines[Symbol.asyncIterator]();
  }

  /** Files made at random, the same for the same seed. */
  async generate(count: number, seed: number): Promise<Uint8Array[]> {
    return generated.parse(await this.#ask({ generate: count, seed })).map(fromHex);
  }

  async read(files: readonly Uint8Array[]): Promise<Reading[]> {
    const answer = readings.parse(await this.#ask({ read: files.map(toHex) }));
    return answer.map((each) => {
      if ('error' in each) return each;
      const { bytes, ...meaning } = each;
      return { bytes, meaning };
    });
  }

  [Symbol.dispose](): void {
    this.#lines.close();
    this.#process.kill();
  }

  async #ask(request: object): Promise<unknown> {
    this.#process.stdin?.write(`${JSON.stringify(request)}\n`);
    const answer = await this.#answers.next();
    if (answer.done === true) throw new Error('the reference ended');
    return JSON.parse(answer.value);
  }
}
