// The store as a file on a local disk: a journal that all processes of the machine append to (guard-file.ts). There is no lock
// that a killed process could leave behind. A change takes effect if, at its place in the journal, the subject still is as the
// change says. Every reader comes to the same result, so a process reads on to learn what became of its own changes.
//
// The first line names the journal. The database remembers how far it reached (journal-memory.ts), so that lines that are
// lost or altered are noticed.
//
// A journal that has grown is sealed by a last line; changes behind it are void. What stood before the seal is written out as
// the next generation.

import { randomBytes } from 'node:crypto';
import { constants, type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder, writeDurably } from '../../core/durable-file.node.ts';
import { AntequemError, hasCode, messageOf } from '../../core/errors.ts';
import { generationsOf, lineOf } from './guard-file.ts';
import { append, begun, type Journal, nameLine, readOn } from './journal.ts';
import { contradiction, type JournalMemory, type JournalPosition } from './journal-memory.ts';
import { type Change, type Mark, markText, type PublishedStore } from './published.ts';

/** A journal is sealed once it is so large, and several times larger than its marks. */
const SEAL_BYTES = 1 << 20;
const SEAL_FACTOR = 4;
const LINE_BYTES = 160;
/** Requests that wait for a hanging disk must not fill the memory. */
const MOST_QUEUED = 1_000;
/** Milliseconds after a change until the database is told how far the journal reaches. */
const REMEMBER_MS = 1_000;

interface Request {
  readonly changes: readonly Change[];
  readonly resolve: (set: boolean[]) => void;
  readonly reject: (error: unknown) => void;
}

interface Numbered {
  readonly change: Change;
  readonly id: string;
}

export class PublishedFile implements PublishedStore {
  readonly name: string;
  readonly #file: string;
  readonly #memory: JournalMemory | null;
  /** Whether it was compared with what the database remembers. */
  #recalled = false;
  #remembering: NodeJS.Timeout | null = null;
  #remembered = -1;
  #problem: string | null = null;
  /** Of a journal that was removed under this process. */
  #saved: ReadonlyMap<string, Mark> = new Map();
  readonly #requests: Request[] = [];
  #queued = 0;
  #journal: Journal | null = null;
  /** One thing at a time within the process. */
  #busy: Promise<unknown> = Promise.resolve();
  /** Of this process's lines. */
  readonly #own = randomBytes(6).toString('hex');
  #count = 0;

  /** @param memory default: none, and what the file has lost is not noticed */
  constructor(file: string, memory: JournalMemory | null = null) {
    this.#file = file;
    this.#memory = memory;
    this.name = file;
  }

  get problem(): string | null {
    return this.#problem;
  }

  read(subjects: readonly string[]): Promise<(Mark | null)[]> {
    return this.#inTurn(async () => {
      const { marks } = await this.#current();
      return subjects.map((subject) => marks.get(subject) ?? null);
    });
  }

  all(): Promise<ReadonlyMap<string, Mark>> {
    return this.#inTurn(async () => new Map((await this.#current()).marks));
  }

  compareAndSet(changes: readonly Change[]): Promise<boolean[]> {
    return new Promise((resolve, reject) => {
      this.#requests.push({ changes, resolve, reject });
      // Those who come while the disk is busy share the next write.
      this.#inTurn(() => this.#settle(this.#requests.splice(0))).catch(reject);
    });
  }

  async close(): Promise<void> {
    if (this.#remembering !== null) {
      clearTimeout(this.#remembering);
      await this.#remember();
    }
    await this.#inTurn(async () => {
      const journal = this.#journal;
      this.#journal = null;
      await journal?.handle.close();
    });
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#queued >= MOST_QUEUED) throw unavailable(this.#file, new Error('the disk does not keep up'));
    this.#queued++;
    const turn = this.#busy.then(work).catch((cause: unknown) => {
      // It is read again from the start, because how far it was read is not certain.
      const journal = this.#journal;
      this.#journal = null;
      void journal?.handle.close().catch(() => {});
      throw cause instanceof AntequemError ? cause : unavailable(this.#file, cause);
    });
    this.#busy = turn.then(
      () => void this.#queued--,
      () => void this.#queued--,
    );
    return turn;
  }

  async #settle(requests: readonly Request[]): Promise<void> {
    if (requests.length === 0) return;
    try {
      const numbered = requests.map(({ changes }) =>
        changes.map((change) => ({ change, id: `${this.#own}-${this.#count++}` })),
      );
      const effective = await this.#append(numbered.flat());
      for (const [i, { resolve }] of requests.entries())
        resolve((numbered[i] ?? []).map(({ id }) => effective.has(id)));
    } catch (cause) {
      const error = cause instanceof AntequemError ? cause : unavailable(this.#file, cause);
      for (const { reject } of requests) reject(error);
      throw error;
    }
  }

  /** Appends changes and reads what became of them: the ids of those that took effect. */
  async #append(changes: readonly Numbered[]): Promise<ReadonlySet<string>> {
    const effective = new Set<string>();
    // Lines behind a seal do not count, nor do lines torn by another writer: they are written again.
    for (let open = changes; open.length > 0; ) {
      const journal = await this.#current();
      await append(
        journal,
        open.map(({ id, change }) => lineOf('c', id, change.subject, markText(change.from), markText(change.to))),
      );
      await readOn(journal, this.#own);
      for (const { id } of open) if (journal.decided.get(id) === true) effective.add(id);
      open = open.filter(({ id }) => !journal.decided.has(id));
      journal.decided.clear();
      if (journal.offset > SEAL_BYTES && journal.offset > SEAL_FACTOR * LINE_BYTES * journal.marks.size) {
        await append(journal, [lineOf('end')]);
      }
    }
    return effective;
  }

  /** The newest generation, read to its end. */
  async #current(): Promise<Journal> {
    for (;;) {
      const journal = this.#journal ?? (await this.#openNewest());
      this.#journal = journal;
      await readOn(journal, this.#own);
      if (!journal.sealed) {
        if (await this.#isGone(journal)) continue;
        await this.#restore(journal);
        await this.#compare(journal);
        this.#rememberSoon();
        return journal;
      }
      await this.#succeed(journal);
      await journal.handle.close();
      this.#journal = null;
    }
  }

  async #openNewest(): Promise<Journal> {
    await mkdir(dirname(this.#file), { recursive: true });
    for (;;) {
      const known = (await generationsOf(this.#file)).at(-1);
      const number = known ?? 1;
      const handle = await this.#open(number, known === undefined);
      if (handle === null) continue;
      // A newer one that was made in the meantime counts: this process may have fallen behind.
      const newest = (await generationsOf(this.#file)).at(-1) ?? number;
      if (newest === number) {
        if (known === undefined) await append({ handle }, [nameLine()]);
        return begun(number, handle, known === undefined);
      }
      await handle.close();
    }
  }

  async #open(number: number, create: boolean): Promise<FileHandle | null> {
    try {
      const flags = constants.O_RDWR | constants.O_APPEND | (create ? constants.O_CREAT : 0);
      const handle = await open(this.#path(number), flags, 0o600);
      if (create) await syncFolder(dirname(this.#file));
      return handle;
    } catch (error) {
      // A generation that was followed by the next just now.
      if (!create && hasCode(error, 'ENOENT')) return null;
      throw error;
    }
  }

  /** Makes the generation behind a sealed one, unless somebody did. */
  async #succeed({ number, name, marks }: Journal): Promise<void> {
    const lines = [
      `${nameLine(name ?? undefined)}\n`,
      ...[...marks].map(([subject, mark]) => `${lineOf('m', subject, markText(mark))}\n`),
    ];
    try {
      await writeDurably(this.#path(number + 1), lines.join(''), { replace: false, mode: 0o600 });
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
      // Another process made it, and may not have synced the folder yet: older ones are removed only after that.
      await syncFolder(dirname(this.#file));
    }
    for (const older of await generationsOf(this.#file))
      if (older <= number) await rm(this.#path(older), { force: true });
  }

  /** Whether the journal was removed under this process: then a new one begins with the marks known here. */
  async #isGone(journal: Journal): Promise<boolean> {
    if ((await journal.handle.stat()).nlink > 0) return false;
    const newest = (await generationsOf(this.#file)).at(-1) ?? 0;
    if (newest <= journal.number) {
      this.#saved = journal.marks;
      this.#problem = `${this.#file} was removed while the service ran: it begins anew with what this process remembers`;
    }
    this.#journal = null;
    await journal.handle.close();
    return true;
  }

  async #restore(journal: Journal): Promise<void> {
    if (this.#saved.size === 0) return;
    const lines = [...this.#saved].map(([subject, mark]) =>
      lineOf('c', `${this.#own}-${this.#count++}`, subject, '-', markText(mark)),
    );
    await append(journal, lines);
    await readOn(journal, this.#own);
    journal.decided.clear();
    this.#saved = new Map();
  }

  /** Once for each process: whether the journal still has what the database remembers of it. */
  async #compare(journal: Journal): Promise<void> {
    if (journal.altered)
      this.#problem ??= `${this.#file} was altered: a line does not have the check it was written with`;
    if (this.#memory === null) return;
    if (!this.#recalled) {
      let known: JournalPosition | null;
      try {
        known = await this.#memory.recall(journal.fresh ? null : journal.name);
      } catch {
        // Without the database nothing is published either: it is asked again.
        return;
      }
      this.#recalled = true;
      if (known !== null) this.#problem ??= await contradiction(this.#file, journal, known);
    }
    if (journal.name === null && this.#problem === null) {
      await append(journal, [nameLine()]);
      await readOn(journal, this.#own);
    }
  }

  /** Each change is followed by one such note of the process, however many there are within a second. */
  #rememberSoon(): void {
    if (this.#memory === null || this.#remembering !== null) return;
    this.#remembering = setTimeout(() => void this.#remember(), REMEMBER_MS).unref();
  }

  async #remember(): Promise<void> {
    this.#remembering = null;
    const journal = this.#journal;
    // The database does not learn of a damaged one, so that the next start notices it again.
    const damaged = this.#problem !== null && journal?.fresh !== true;
    if (journal === null || journal.name === null || !this.#recalled || damaged) return;
    const position = {
      journal: journal.name,
      generation: journal.number,
      length: journal.offset,
      digest: new Uint8Array(journal.hash.copy().digest()),
    };
    if (position.length === this.#remembered) return;
    await this.#memory?.remember(position).then(
      () => {
        this.#remembered = position.length;
      },
      () => {},
    );
  }

  #path(number: number): string {
    return `${this.#file}.${number}`;
  }
}

function unavailable(file: string, cause: unknown): AntequemError {
  const why = messageOf(cause);
  return new AntequemError(
    'guard-unavailable',
    `what was published cannot be recorded in ${file} (${why}), so nothing is signed: mend that, or correct LOG_GUARD_FILE`,
    { cause },
  );
}
