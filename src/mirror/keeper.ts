import { existsSync, readFileSync, renameSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AntequemError } from '../core/errors.ts';

/** Files under way at once; a flush of the disk serves several. */
const WRITERS = 16;
/** Files that may wait. */
const BACKLOG = 128;
/** Where files are written before they get their names. */
const UNFINISHED = '.unfinished';
/** Where what contradicts the mirror is put: it is evidence, and so is what it contradicts. */
const CONFLICTING = 'conflicting';
const TOLD = 10;

/** Whether something may take the place of what the mirror has. */
export type Replacing = (old: Uint8Array) => boolean;

/**
 * Writes the files of a mirror, each whole or not at all, and durable before `flush` returns. What is there already is not
 * replaced by something else unless it may change. Paths are made by us alone, of numbers and of names of logs, which hold
 * neither a slash nor a leading dot.
 */
export class Keeper {
  readonly folder: string;
  /** The first paths at which something else is there. */
  readonly conflicts: string[] = [];
  readonly #waiting: { readonly path: string; readonly bytes: Uint8Array; readonly replacing: Replacing }[] = [];
  readonly #made = new Set<string>();
  #writers = 0;
  #files = 0;
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
    if (this.#writers >= WRITERS) return;
    this.#writers++;
    void this.#write();
  }

  /** Waits until not too much is under way. @throws AntequemError `mirror-unwritable` */
  async settled(): Promise<void> {
    await this.#until(() => this.#waiting.length < BACKLOG);
  }

  /** All that was kept so far is durable. @throws AntequemError `mirror-unwritable` */
  async flush(): Promise<void> {
    await this.#until(() => this.#waiting.length === 0 && this.#writers === 0);
  }

  /** Takes away the partial tiles that a larger tree has no use for: all widths of one tile but one. */
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

  /** What is there; null where nothing is. Blocking: mostly nothing is, and that is known at once. */
  #read(path: string): Buffer | null {
    const file = join(this.folder, ...path.split('/'));
    return existsSync(file) ? readFileSync(file) : null;
  }

  async #write(): Promise<void> {
    try {
      for (let file = this.#waiting.shift(); file !== undefined; file = this.#waiting.shift()) {
        const { path, bytes, replacing } = file;
        const old = this.#read(path);
        if (old === null || (!old.equals(bytes) && replacing(old))) await this.#put(path, bytes);
        else if (!old.equals(bytes)) {
          if (this.conflicts.length < TOLD) this.conflicts.push(path);
          await this.#put(`${CONFLICTING}/${path}`, bytes);
        }
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
  const why = cause instanceof Error ? cause.message : String(cause);
  return new AntequemError('mirror-unwritable', `the mirror ${folder} cannot be written: ${why}`, { cause });
}
