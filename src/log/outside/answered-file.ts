// Marks of what was answered, as lines of a file beside the guard's (guard-file.ts). It does not wait for the disk: marks are
// lost with the machine, not with the process. The largest mark of a log counts, so the order does not matter. A generation
// that has grown is followed by one with the marks so far, and stays for a minute for processes that have not seen the next.
//
//   a origin size:root    answered up to there
//   r origin size:root    replaces the mark (`antequem recover`)

import { type FileHandle, mkdir, open, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { writeDurably } from '../../core/durable-file.node.ts';
import { hasCode } from '../../core/errors.ts';
import type { AnsweredSink } from './answered.ts';
import { appendLines, fieldsOf, generationsOf, lineOf, wholeLines } from './guard-file.ts';
import { type Mark, markText, parseMark } from './published.ts';

const LARGE_BYTES = 4 << 20;
/** A generation of many logs is followed once it has grown to so many times its first size. */
const GROWTH = 4;
/** Milliseconds between checks for a newer generation. */
const LOOK_MS = 1_000;
const KEPT_MS = 60_000;

interface Generation {
  readonly number: number;
  readonly handle: FileHandle;
  /** Bytes it began with. */
  readonly base: number;
  written: number;
}

export class AnsweredFile implements AnsweredSink {
  readonly name: string;
  readonly awaited = true;
  readonly #file: string;
  readonly #marks = new Map<string, Mark>();
  /** How far each generation was read. */
  readonly #offsets = new Map<number, number>();
  #current: Generation | null = null;
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** One reader at a time. */
  #reading: Promise<unknown> = Promise.resolve();

  /** @param guardFile as LOG_GUARD_FILE */
  constructor(guardFile: string) {
    this.#file = `${guardFile}.answered`;
    this.name = this.#file;
  }

  async write(marks: ReadonlyMap<string, Mark>): Promise<void> {
    await this.#append('a', marks);
  }

  async read(origin: string): Promise<Mark | null> {
    await this.#readOn();
    return this.#marks.get(origin) ?? null;
  }

  async all(): Promise<ReadonlyMap<string, Mark>> {
    await this.#readOn();
    return new Map(this.#marks);
  }

  async replace(marks: ReadonlyMap<string, Mark>): Promise<void> {
    await this.#append('r', marks);
    await this.#current?.handle.datasync();
    await this.#readOn();
  }

  async close(): Promise<void> {
    const current = this.#current;
    this.#current = null;
    await current?.handle.close();
  }

  async #append(kind: 'a' | 'r', marks: ReadonlyMap<string, Mark>): Promise<void> {
    const current = await this.#newest();
    try {
      current.written += await appendLines(current.handle, linesOf(kind, marks));
    } catch (error) {
      this.#current = null;
      await current.handle.close().catch(() => {});
      throw error;
    }
    if (current.base + current.written > Math.max(LARGE_BYTES, GROWTH * current.base)) await this.#succeed(current);
  }

  /** The generation to append to, checked every second. */
  async #newest(): Promise<Generation> {
    if (this.#current !== null && performance.now() - this.#lookedAt < LOOK_MS) return this.#current;
    this.#lookedAt = performance.now();
    const number = (await generationsOf(this.#file)).at(-1);
    if (this.#current !== null && this.#current.number === number) return this.#current;
    const previous = this.#current;
    if (number === undefined) await mkdir(dirname(this.#file), { recursive: true });
    const handle = await open(this.#path(number ?? 1), 'a', 0o600);
    this.#current = { number: number ?? 1, handle, base: (await handle.stat()).size, written: 0 };
    await previous?.handle.close();
    return this.#current;
  }

  async #succeed({ number }: Generation): Promise<void> {
    await this.#readOn();
    const text = `${linesOf('a', this.#marks).join('\n')}\n`;
    try {
      await writeDurably(this.#path(number + 1), text, { replace: false, mode: 0o600 });
    } catch (error) {
      // Another process made it.
      if (!hasCode(error, 'EEXIST')) throw error;
    }
    this.#lookedAt = Number.NEGATIVE_INFINITY;
    for (const older of (await generationsOf(this.#file)).filter((each) => each < number)) {
      const { mtimeMs } = await stat(this.#path(older));
      if (Date.now() - mtimeMs > KEPT_MS) {
        await rm(this.#path(older), { force: true });
        this.#offsets.delete(older);
      }
    }
  }

  /** Reads what any process has appended since. */
  async #readOn(): Promise<void> {
    const reading = this.#reading.then(async () => {
      for (const number of await generationsOf(this.#file)) await this.#readGeneration(number);
    });
    this.#reading = reading.catch(() => {});
    await reading;
  }

  async #readGeneration(number: number): Promise<void> {
    const handle = await open(this.#path(number), 'r').catch((error: unknown) => {
      // It was removed just now.
      if (hasCode(error, 'ENOENT')) return null;
      throw error;
    });
    if (handle === null) return;
    try {
      let offset = this.#offsets.get(number) ?? 0;
      for await (const bytes of wholeLines(handle, offset)) {
        for (const line of bytes.toString('utf8').split('\n')) this.#take(line);
        offset += bytes.length;
        this.#offsets.set(number, offset);
      }
    } finally {
      await handle.close();
    }
  }

  #take(line: string): void {
    if (line === '') return;
    const [kind, origin = '', text = ''] = fieldsOf(line) ?? [];
    if (kind !== 'a' && kind !== 'r') return;
    const mark = parseMark(text);
    if (kind === 'r' || mark.size >= (this.#marks.get(origin)?.size ?? -1)) this.#marks.set(origin, mark);
  }

  #path(number: number): string {
    return `${this.#file}.${number}`;
  }
}

function linesOf(kind: 'a' | 'r', marks: ReadonlyMap<string, Mark>): string[] {
  return [...marks].map(([origin, mark]) => lineOf(kind, origin, markText(mark)));
}
