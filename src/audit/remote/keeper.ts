import { existsSync, readFileSync, renameSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AntequemError, messageOf } from '../../core/errors.ts';

/** Files that are written at the same time; one flush of the disk serves several. */
const WRITERS = 16;
/** The most files that wait, and the most bytes of files that wait or are being written. */
const BACKLOG = 128;
const BACKLOG_BYTES = 32 << 20;
/** Files are written there before they get their names. */
const UNFINISHED = '.unfinished';
/** Files that contradict the mirror are put there: both versions are evidence. */
const CONFLICTING = 'conflicting';
const TOLD = 10;

/** Whether other content may replace what the mirror has. */
export type Replacing = (old: Uint8Array) => boolean;

/**
 * Writes the files of a mirror, each whole or not at all, and durable before `flush` returns. An existing file is replaced by
 * other content only if it may change. Paths consist of numbers and names of logs, without slashes and leading dots.
 */
export class Keeper {
  readonly folder: string;
  /** The first paths with conflicts. */
  readonly conflicts: string[] = [];
  readonly #waiting: { readonly path: string; readonly bytes: Uint8Array; readonly replacing: Replacing }[] = [];
  readonly #made = new Set<string>();
  #writers = 0;
  #files = 0;
  #bytes = 0;
  /** One after the other, so that each gets a name of its own. */
  #aside: Promise<void> = Promise.resolve();
  #failure: unknown = null;
  #move = Promise.withResolvers<void>();

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** @throws AntequemError `mirror-unwritable` */
  static async open(folder: string): Promise<Keeper> {
    try {
      await rm(join(folder, UNFINISHED), { recursive: true, force: true });
      await mkdir(join(folder, UNFINISHED), { recursive: true });
    } catch (cause) {
      throw unwritable(folder, cause);
    }
    return new Keeper(folder);
  }

  /** Begins to write a file. */
  keep(path: string, bytes: Uint8Array, replacing: Replacing = () => false): void {
    this.#waiting.push({ path, bytes, replacing });
    this.#bytes += bytes.length;
    if (this.#writers >= WRITERS) return;
    this.#writers++;
    void this.#write();
  }

  /** Waits until not too much is under way. @throws AntequemError `mirror-unwritable` */
  async settled(): Promise<void> {
    await this.#until(() => this.#waiting.length < BACKLOG && this.#bytes < BACKLOG_BYTES);
  }

  /** Waits until all files so far are durable. @throws AntequemError `mirror-unwritable` */
  async flush(): Promise<void> {
    await this.#until(() => this.#waiting.length === 0 && this.#writers === 0);
  }

  /** Removes the partial tiles of a smaller tree: all widths of a tile but one. */
  async dropPartials(tile: string, but: string | null): Promise<void> {
    const folder = join(this.folder, ...`${tile}.p`.split('/'));
    const names = await readdir(folder).catch(() => []);
    const stale = names.filter((name) => name !== but);
    await Promise.all(stale.map((name) => rm(join(folder, name), { force: true })));
    if (stale.length === names.length) await rm(folder, { recursive: true, force: true });
    this.#made.delete(folder);
  }

  async #until(done: () => boolean): Promise<void> {
    while (!done() && this.#failure === null) await this.#move.promise;
    if (this.#failure !== null) throw unwritable(this.folder, this.#failure);
  }

  #moved(): void {
    this.#move.resolve();
    this.#move = Promise.withResolvers<void>();
  }

  async #put(path: string, bytes: Uint8Array): Promise<void> {
    const to = join(this.folder, ...path.split('/'));
    const folder = dirname(to);
    if (!this.#made.has(folder)) {
      await mkdir(folder, { recursive: true });
      if (this.#made.size > 10_000) this.#made.clear();
      this.#made.add(folder);
    }
    const unfinished = join(this.folder, UNFINISHED, String(this.#files++));
    await writeFile(unfinished, bytes, { flush: true });
    renameSync(unfinished, to);
  }

  /** The existing file; null: none. Blocking, because mostly there is none, which is known at once. */
  #read(path: string): Buffer | null {
    const file = join(this.folder, ...path.split('/'));
    return existsSync(file) ? readFileSync(file) : null;
  }

  /** Files put aside before stay: each of them is evidence. */
  async #putAside(path: string, bytes: Uint8Array): Promise<void> {
    for (let n = 1; ; n++) {
      const name = `${CONFLICTING}/${path}${n === 1 ? '' : `.${n}`}`;
      const old = this.#read(name);
      if (old?.equals(bytes)) return;
      if (old === null) return this.#put(name, bytes);
    }
  }

  async #write(): Promise<void> {
    try {
      for (let file = this.#waiting.shift(); file !== undefined; file = this.#waiting.shift()) {
        const { path, bytes, replacing } = file;
        const old = this.#read(path);
        if (old === null || (!old.equals(bytes) && replacing(old))) await this.#put(path, bytes);
        else if (!old.equals(bytes)) {
          if (this.conflicts.length < TOLD) this.conflicts.push(path);
          this.#aside = this.#aside.then(() => this.#putAside(path, bytes));
          await this.#aside;
        }
        this.#bytes -= bytes.length;
        this.#moved();
      }
    } catch (error) {
      this.#failure ??= error;
    } finally {
      this.#writers--;
      this.#moved();
    }
  }
}

function unwritable(folder: string, cause: unknown): AntequemError {
  const why = messageOf(cause);
  return new AntequemError('mirror-unwritable', `the mirror ${folder} cannot be written: ${why}`, { cause });
}
