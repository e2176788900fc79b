// Follows a growing file through its rotations so that every line is stored exactly once. Before a batch is sent, its
// range of bytes and its Idempotency-Key are saved; after it is stored, the new offset is saved. If the process dies in
// between, the next one sends the same bytes under the same key, and the service stores them once.

import { randomUUID } from 'node:crypto';
import { sha256 } from '#sha256';
import type { AppendAnswer } from '../../client/answers.ts';
import { toHex } from '../../core/bytes.ts';
import { AntequemError } from '../../core/errors.ts';
import { type BatchLimits, type LineBatch, LineBuffer, longLineNote } from '../lines.ts';
import { type Folder, type FoundFile, findFile, isSameFile, lookAround, siblingNames } from './rotation.ts';
import { type Edges, FollowedFile, isFinished } from './source.ts';
import type { FollowState } from './state.ts';

export interface FollowerOptions {
  readonly path: string;
  readonly limits: BatchLimits;
  /** Milliseconds between two checks of a file that does not grow. */
  readonly poll: number;
  /** Milliseconds without a write after which a rotated file counts as finished: some writers open the new one late. */
  readonly grace: number;
  /** Continues if the file with the rest of a batch is gone. */
  readonly skipMissing: boolean;
  readonly signal: AbortSignal;
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Durable once it returns. */
  readonly save: (state: FollowState) => Promise<void>;
  /** Stores the lines, or a line's digest, under the key, retrying without limit. */
  readonly send: (content: LineContent, key: string) => Promise<AppendAnswer>;
  readonly onSent: (
    appended: AppendAnswer,
    from: { file: string; start: number; end: number; digestOnly?: true },
  ) => void;
  readonly warn: (text: string) => void;
}

/** Lines, or the hex digest of one line that is larger than an entry. */
export type LineContent = { readonly body: Uint8Array<ArrayBuffer> } | { readonly digest: string };

export class Follower {
  readonly #options: FollowerOptions;
  readonly #state: FollowState;
  readonly #lines: LineBuffer;
  #source: FollowedFile | null = null;
  /** The file whose bytes are in the buffer. */
  #filling: FollowedFile | null = null;
  /** When the rotation of the file was first seen. */
  #rotatedSince: number | null = null;
  /** The file is rotated and quiet: no more bytes are expected. */
  #finishing = false;

  constructor(state: FollowState, options: FollowerOptions) {
    this.#state = state;
    this.#options = options;
    this.#lines = new LineBuffer(options.limits, { offset: 0, line: null });
  }

  /** Follows until the signal. @throws AntequemError and file system errors that stop it */
  async run(): Promise<void> {
    const { signal, poll, sleep } = this.#options;
    try {
      await this.#resume();
      while (!signal.aborted) {
        if (!(await this.#step())) await sleep(poll, signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      await this.#source?.close();
    }
  }

  /** Finds the file that the last process was reading, and settles the batch that it may have sent. */
  async #resume(): Promise<void> {
    const { file, intent, offset } = this.#state;
    if (file === null) return;
    this.#source = await this.#findAgain();
    if (this.#source === null) {
      if (intent !== null && !this.#options.skipMissing) {
        throw new AntequemError(
          'follow-file-missing',
          `the last follower ended while it sent bytes ${intent.start} to ${intent.end} of a file that was ` +
            `${this.#options.path}, and the file is no longer in its folder; put it back, or continue with --skip-missing`,
        );
      }
      this.#warnMissing(offset);
      this.#state.file = null;
      this.#state.intent = null;
      return;
    }
    if (intent === null) return;
    const { start, end, key } = intent;
    if (intent.line !== undefined) {
      const edges = await this.#source.edges(end);
      await this.#deliver(this.#source, { digest: intent.sha256 }, { length: end - start, edges, key });
      return;
    }
    const body = await this.#source.slice(end);
    if (body === null) return;
    await this.#deliver(this.#source, { body }, { length: body.length, edges: { first: body, last: body }, key });
  }

  /** Sends the next batch, or moves to the next file. False if there is nothing to do now. */
  async #step(): Promise<boolean> {
    const source = this.#source;
    if (source === null) return this.#openNext();
    const ended = await this.#fill(source);
    if (!(await source.unchanged())) {
      await this.#onTruncated(source);
      return true;
    }
    const batch = this.#lines.take(ended && this.#finishing);
    if (batch === null) return this.#onEnd(source);
    const edges = batch.long ?? { first: batch.body, last: batch.body };
    if (batch.entries === 0) {
      source.advance(batch.bytes, edges);
      await this.#savePlace(source);
    } else {
      if (batch.long !== null) this.#options.warn(longLineNote(batch.long));
      await this.#submit(source, batch, edges);
    }
    return true;
  }

  /** Reads until a batch is full or the file ends (true). */
  async #fill(source: FollowedFile): Promise<boolean> {
    // A line that is hashed while it is read is not read again.
    const goesOn = this.#filling === source ? this.#lines.unfinished : null;
    this.#filling = source;
    let at = goesOn ?? source.offset;
    if (goesOn === null) this.#lines.reset({ offset: source.offset, line: null });
    while (!this.#lines.full) {
      const read = await source.read(this.#lines.space, at);
      if (read === 0) return true;
      this.#lines.wrote(read);
      at += read;
    }
    return false;
  }

  async #submit(source: FollowedFile, { body, long, bytes }: LineBatch, edges: Edges): Promise<void> {
    const key = randomUUID();
    const start = source.offset;
    this.#state.intent = {
      start,
      end: start + bytes,
      sha256: long?.digest ?? toHex(sha256(body)),
      key,
      at: this.#options.now(),
      ...(long === null ? {} : { line: long.length }),
    };
    await this.#options.save(this.#state);
    await this.#deliver(source, long === null ? { body } : { digest: long.digest }, { length: bytes, edges, key });
  }

  async #deliver(
    source: FollowedFile,
    content: LineContent,
    { length, edges, key }: { readonly length: number; readonly edges: Edges; readonly key: string },
  ): Promise<void> {
    const start = source.offset;
    const appended = await this.#options.send(content, key);
    source.advance(length, edges);
    await this.#savePlace(source);
    const from = { file: source.found.path, start, end: source.offset };
    this.#options.onSent(appended, 'digest' in content ? { ...from, digestOnly: true } : from);
  }

  async #savePlace(source: FollowedFile): Promise<void> {
    const { dev, ino } = source.found;
    const { offset, head, tail } = source.trace();
    this.#state.file = { dev, ino, head, tail };
    this.#state.offset = offset;
    this.#state.intent = null;
    await this.#options.save(this.#state);
  }

  /** No whole line is left to read: waits for more, or moves to the next file if this one was rotated away. */
  async #onEnd(source: FollowedFile): Promise<boolean> {
    const { path, grace, now } = this.#options;
    const live = await findFile(path);
    if (live !== null && isSameFile(live, source.found)) {
      this.#rotatedSince = null;
      this.#finishing = false;
      return false;
    }
    if (this.#finishing) return this.#openNext();
    this.#rotatedSince ??= now();
    // The writer may still have this file open until it writes to a younger one.
    if ((await this.#pending()) === null) return false;
    const written = Number((await source.handle.stat()).mtimeMs);
    if (now() - written < grace && now() - this.#rotatedSince < grace) return false;
    this.#finishing = true;
    return true;
  }

  /** The file was truncated or replaced. If it was copied before, the copy has the rest. */
  async #onTruncated(source: FollowedFile): Promise<void> {
    const copy = await this.#findAgain();
    await source.close();
    this.#source = copy;
    this.#finishing = false;
    this.#rotatedSince = null;
    if (copy === null) {
      this.#warnMissing(source.offset);
      this.#state.file = null;
      this.#state.offset = 0;
      await this.#options.save(this.#state);
      return;
    }
    await this.#savePlace(copy);
  }

  /** Opens the oldest unread file. False if there is none yet. */
  async #openNext(): Promise<boolean> {
    const found = await this.#pending();
    const next = found === null ? null : await FollowedFile.openFile(found, 0);
    if (next === null) return found !== null;
    // A rotation since the folder was read may have added an older file, or reused the inode for other content.
    const still = await this.#pending();
    if (still === null || !isSameFile(still, next.found) || next.isEmpty || !(await next.unchanged())) {
      await next.close();
      return true;
    }
    if (this.#source !== null) {
      this.#state.done.push(this.#source.finished());
      await this.#source.close();
    }
    this.#source = next;
    this.#finishing = false;
    this.#rotatedSince = null;
    await this.#savePlace(next);
    return true;
  }

  async #pending(): Promise<FoundFile | null> {
    const { live, rotated } = await lookAround(this.#options.path);
    const files = live === null ? rotated : [...rotated, live];
    const { done } = this.#state;
    this.#state.done = done.filter((finished) => files.some((file) => isSameFile(file, finished)));
    for (const file of files) {
      if (file.size === 0 || (this.#source !== null && isSameFile(file, this.#source.found))) continue;
      if (!(await isFinished(file, done))) return file;
    }
    return null;
  }

  /** The file in the folder with the content that was being read, whatever its name and inode are now. */
  async #findAgain(): Promise<FollowedFile | null> {
    let before = await lookAround(this.#options.path);
    for (;;) {
      const source = await this.#findIn(before);
      if (source !== null) return source;
      // A file that was renamed during the search could have been missed.
      const now = await lookAround(this.#options.path);
      if (siblingNames(before) === siblingNames(now)) return null;
      before = now;
    }
  }

  async #findIn({ live, rotated, others }: Folder): Promise<FollowedFile | null> {
    const { file, offset, intent } = this.#state;
    if (file === null) return null;
    const siblings = [...(live === null ? [] : [live]), ...rotated.toReversed()];
    const itself = [...siblings, ...others].filter((found) => isSameFile(found, file));
    // A copy is recognized only by its content, so an empty file cannot be.
    const copies = file.head.length === 0 ? [] : siblings.filter((found) => !isSameFile(found, file));
    for (const found of [...itself, ...copies]) {
      const source = await FollowedFile.openFile(found, offset);
      if (source === null) continue;
      if (source.bears({ offset, head: file.head, tail: file.tail })) {
        if (intent === null || (await holds(source, intent))) return source;
      }
      await source.close();
    }
    return null;
  }

  #warnMissing(offset: number): void {
    this.#options.warn(
      `the bytes after ${offset} of a file that was ${this.#options.path} are lost: the file was truncated, removed or ` +
        'compressed before they were read; continuing with the next file',
    );
  }
}

/** Whether the bytes of an intent are still there. */
async function holds(
  source: FollowedFile,
  { end, sha256: expected, line }: NonNullable<FollowState['intent']>,
): Promise<boolean> {
  if (line !== undefined) return (await source.digest(line)) === expected;
  const body = await source.slice(end);
  return body !== null && toHex(sha256(body)) === expected;
}
