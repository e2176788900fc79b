// The store as a file on a local disk: a journal that all processes of the machine append to. There is no lock that a
// killed process could leave behind: a change takes effect where, at its place in the journal, the subject still is as
// the change says. Whoever reads the journal comes to the same result, so each process learns by reading on what became
// of its own changes.
//
//   <file>.<n>   generation n of the journal; the highest counts
//   a line       check ‖ kind ‖ fields; what does not check (torn by a kill or a full disk) is nobody's line
//
// A journal that has grown is sealed by a line that ends it: changes behind that are void. What stood before the seal is
// written out as the next generation.

import { randomBytes } from 'node:crypto';
import { constants, type FileHandle, mkdir, open, readdir, rm } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { sha256 } from '#sha256';
import { fromHex, toHex, utf8 } from '../core/bytes.ts';
import { syncFolder, writeDurably } from '../core/durable-file.node.ts';
import { AntequemError, hasCode, messageOf } from '../core/errors.ts';
import { type Change, type Mark, markText, type PublishedStore } from './published.ts';

/** A journal is sealed once it is so large, and several times what it would be written anew. */
const SEAL_BYTES = 1 << 20;
const SEAL_FACTOR = 4;
const LINE_BYTES = 160;
/** With a disk that hangs what is asked of it must not pile up. */
const MOST_QUEUED = 1_000;
const READ_BYTES = 64 << 10;

interface Request {
  readonly changes: readonly Change[];
  readonly resolve: (set: boolean[]) => void;
  readonly reject: (error: unknown) => void;
}

interface Numbered {
  readonly change: Change;
  readonly id: string;
}

/** One generation as far as it was read. */
interface Journal {
  readonly number: number;
  readonly handle: FileHandle;
  readonly marks: Map<string, Mark>;
  /** Whether changes of this process took effect, by their ids, until that is asked for. */
  readonly decided: Map<string, boolean>;
  offset: number;
  sealed: boolean;
}

export class PublishedFile implements PublishedStore {
  readonly name: string;
  readonly #file: string;
  readonly #requests: Request[] = [];
  #queued = 0;
  #journal: Journal | null = null;
  /** One thing at a time within the process. */
  #busy: Promise<unknown> = Promise.resolve();
  /** Of this process's lines. */
  readonly #own = randomBytes(6).toString('hex');
  #count = 0;

  constructor(file: string) {
    this.#file = file;
    this.name = file;
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
      // Read anew: who knows how far it was.
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
    // Lines behind a seal, or torn by one that wrote at the same time, are nobody's: they are written again.
    for (let open = changes; open.length > 0; ) {
      const journal = await this.#current();
      await append(
        journal.handle,
        open.map(({ id, change }) => lineOf('c', id, change.subject, markText(change.from), markText(change.to))),
      );
      await readOn(journal, this.#own);
      for (const { id } of open) if (journal.decided.get(id) === true) effective.add(id);
      open = open.filter(({ id }) => !journal.decided.has(id));
      journal.decided.clear();
      if (journal.offset > SEAL_BYTES && journal.offset > SEAL_FACTOR * LINE_BYTES * journal.marks.size) {
        await append(journal.handle, [lineOf('end')]);
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
      if (!journal.sealed) return journal;
      await this.#succeed(journal);
      await journal.handle.close();
      this.#journal = null;
    }
  }

  async #openNewest(): Promise<Journal> {
    await mkdir(dirname(this.#file), { recursive: true });
    for (;;) {
      const known = (await this.#generations()).at(-1);
      const number = known ?? 1;
      const handle = await this.#open(number, known === undefined);
      if (handle === null) continue;
      // One that was made meanwhile counts: ours may be the late work of a process that fell behind.
      const newest = (await this.#generations()).at(-1) ?? number;
      if (newest === number) {
        return { number, handle, marks: new Map(), decided: new Map(), offset: 0, sealed: false };
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
      if (!create && isMissing(error)) return null;
      throw error;
    }
  }

  /** Makes the generation behind a sealed one, unless somebody did. */
  async #succeed({ number, marks }: Journal): Promise<void> {
    const lines = [...marks].map(([subject, mark]) => `${lineOf('m', subject, markText(mark))}\n`);
    try {
      await writeDurably(this.#path(number + 1), lines.join(''), { replace: false, mode: 0o600 });
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
      // Another process made it, and may not have synced the folder yet: older ones are removed only after that.
      await syncFolder(dirname(this.#file));
    }
    for (const older of await this.#generations()) if (older <= number) await rm(this.#path(older), { force: true });
  }

  /** In ascending order. */
  async #generations(): Promise<number[]> {
    const prefix = `${basename(this.#file)}.`;
    const numbers = (await readdir(dirname(this.#file))).flatMap((name) => {
      const rest = name.startsWith(prefix) ? name.slice(prefix.length) : '';
      return /^[1-9]\d{0,14}$/.test(rest) ? [Number(rest)] : [];
    });
    return numbers.sort((a, b) => a - b);
  }

  #path(number: number): string {
    return `${this.#file}.${number}`;
  }
}

/** The new line first: it ends what somebody was killed over. */
async function append(handle: FileHandle, lines: readonly string[]): Promise<void> {
  const bytes = Buffer.from(`\n${lines.join('\n')}\n`);
  for (let at = 0; at < bytes.length; ) at += (await handle.write(bytes, at)).bytesWritten;
  await handle.datasync();
}

/** Takes in what was appended since, up to the last whole line. */
async function readOn(journal: Journal, own: string): Promise<void> {
  let rest = Buffer.alloc(0);
  while (!journal.sealed) {
    const chunk = Buffer.allocUnsafe(READ_BYTES);
    const { bytesRead } = await journal.handle.read(chunk, 0, READ_BYTES, journal.offset + rest.length);
    if (bytesRead === 0) return;
    const bytes = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
    const end = bytes.lastIndexOf('\n') + 1;
    for (const line of bytes.toString('utf8', 0, end).split('\n')) take(journal, line, own);
    journal.offset += end;
    rest = bytes.subarray(end);
  }
}

function take(journal: Journal, line: string, own: string): void {
  if (journal.sealed) return;
  const [check = '', kind, ...fields] = line.split(' ');
  if (kind === undefined || checkOf(line.slice(check.length + 1)) !== check) return;
  if (kind === 'end') {
    journal.sealed = true;
  } else if (kind === 'm') {
    const [subject = '', mark = ''] = fields;
    journal.marks.set(subject, parseMark(mark));
  } else if (kind === 'c') {
    const [id = '', subject = '', from = '', to = ''] = fields;
    const effective = markText(journal.marks.get(subject) ?? null) === from;
    if (effective) journal.marks.set(subject, parseMark(to));
    if (id.startsWith(own)) journal.decided.set(id, effective);
  }
}

function lineOf(...fields: readonly string[]): string {
  const text = fields.join(' ');
  return `${checkOf(text)} ${text}`;
}

function checkOf(text: string): string {
  return toHex(sha256(utf8(text)).subarray(0, 6));
}

function parseMark(text: string): Mark {
  const [size = '', root = ''] = text.split(':');
  return { size: Number(size), root: fromHex(root) };
}

function isMissing(error: unknown): boolean {
  return hasCode(error, 'ENOENT');
}

function unavailable(file: string, cause: unknown): AntequemError {
  const why = messageOf(cause);
  return new AntequemError(
    'guard-unavailable',
    `what was published cannot be recorded in ${file} (${why}), so nothing is signed: mend that, or correct LOG_GUARD_FILE`,
    { cause },
  );
}
