// Marks of what was answered as lines of a file beside the guard's, without waiting for the disk: a mark is lost with the
// machine, not with the process. All processes of the machine append to the newest generation; of several marks of a log
// the largest counts, so nothing depends on their order. A generation that has grown is followed by one that holds the
// marks so far; it stays for a minute, for those who have not seen the next one yet.
//
//   <file>.answered.<n>   generation n
//   a origin size:root    answered up to there
//   r origin size:root    so much counts from here on, declared by `antequem recover`

import { type FileHandle, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { writeDurably } from '../core/durable-file.node.ts';
import type { AnsweredSink } from './answered.ts';
import { answeredLine, fieldsOf, parseMark } from './guard-lines.ts';
import type { Mark } from './published.ts';

const LARGE_BYTES = 4 << 20;
/** A generation of many logs is followed once it is so many times what it began with. */
const GROWTH = 4;
/** Milliseconds between two looks for a newer generation. */
const LOOK_MS = 1_000;
const KEPT_MS = 60_000;
const READ_BYTES = 64 << 10;

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
    const lines = [...marks].map(([origin, mark]) => answeredLine(kind, origin, mark));
    // The new line first: it ends what a process was killed over.
    const bytes = Buffer.from(`\n${lines.join('\n')}\n`);
    try {
      for (let at = 0; at < bytes.length; ) at += (await current.handle.write(bytes, at)).bytesWritten;
    } catch (error) {
      this.#current = null;
      await current.handle.close().catch(() => {});
      throw error;
    }
    current.written += bytes.length;
    if (current.base + current.written > Math.max(LARGE_BYTES, GROWTH * current.base)) await this.#succeed(current);
  }

  /** The generation to append to, looked for anew every second. */
  async #newest(): Promise<Generation> {
    if (this.#current !== null && performance.now() - this.#lookedAt < LOOK_MS) return this.#current;
    this.#lookedAt = performance.now();
    const number = (await this.#generations()).at(-1);
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
    const lines = [...this.#marks].map(([origin, mark]) => `${answeredLine('a', origin, mark)}\n`);
    try {
      await writeDurably(this.#path(number + 1), lines.join(''), { replace: false, mode: 0o600 });
    } catch (error) {
      // Another process made it.
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    this.#lookedAt = Number.NEGATIVE_INFINITY;
    for (const older of (await this.#generations()).filter((each) => each < number)) {
      const { mtimeMs } = await stat(this.#path(older));
      if (Date.now() - mtimeMs > KEPT_MS) {
        await rm(this.#path(older), { force: true });
        this.#offsets.delete(older);
      }
    }
  }

  /** Takes in what was appended since, by whichever process. */
  async #readOn(): Promise<void> {
    const reading = this.#reading.then(async () => {
      for (const number of await this.#generations()) await this.#readGeneration(number);
    });
    this.#reading = reading.catch(() => {});
    await reading;
  }

  async #readGeneration(number: number): Promise<void> {
    const handle = await open(this.#path(number), 'r').catch((error: unknown) => {
      // Removed just now, since it was followed long ago.
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
      throw error;
    });
    if (handle === null) return;
    try {
      let rest = Buffer.alloc(0);
      let offset = this.#offsets.get(number) ?? 0;
      for (;;) {
        const chunk = Buffer.allocUnsafe(READ_BYTES);
        const { bytesRead } = await handle.read(chunk, 0, READ_BYTES, offset + rest.length);
        if (bytesRead === 0) return;
        const bytes = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
        const end = bytes.lastIndexOf('\n') + 1;
        for (const line of bytes.toString('utf8', 0, end).split('\n')) this.#take(line);
        offset += end;
        rest = bytes.subarray(end);
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

  /** In ascending order. */
  async #generations(): Promise<number[]> {
    const prefix = `${basename(this.#file)}.`;
    const names = await readdir(dirname(this.#file)).catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
      throw error;
    });
    const numbers = names.flatMap((name) => {
      const rest = name.startsWith(prefix) ? name.slice(prefix.length) : '';
      return /^[1-9]\d{0,14}$/.test(rest) ? [Number(rest)] : [];
    });
    return numbers.sort((a, b) => a - b);
  }

  #path(number: number): string {
    return `${this.#file}.${number}`;
  }
}
