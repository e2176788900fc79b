import { z } from 'zod';
import type { Log } from '../log/log.ts';
import type { Published } from '../log/publish.ts';
import type { Criteria } from '../log/search.ts';
import { WorkThread } from './thread.ts';

/** Entries of [from, end) that meet the criteria. */
interface EntrySelection {
  readonly log: Log;
  readonly criteria: Pick<Criteria, 'text' | 'fields'>;
  readonly from: number;
  readonly end: number;
}

export interface SearchReading extends EntrySelection {
  /** Entries that a page has at most. */
  readonly limit: number;
  /** Of the log, as the answer tells it. */
  readonly size: number;
  readonly payloads: boolean;
}

export interface ExportReading extends EntrySelection {
  readonly receipts: boolean;
  /** A checkpoint for the receipts of entries that no round covers yet; null: not known yet. */
  readonly checkpoint: Published | null;
}

const bytes = z.instanceof(Uint8Array);
const exportedLines = z.object({
  text: bytes,
  /** Where to go on; null: nothing is left. */
  next: z.number().nullable(),
});
export type ExportedLines = z.infer<typeof exportedLines>;
/** Sizes of the log at which rounds have it and no checkpoint is signed yet. */
const unsignedSizes = z.object({ unsigned: z.array(z.number()) });
export type UnsignedSizes = z.infer<typeof unsignedSizes>;

export type Reading = ({ readonly kind: 'search' } & SearchReading) | ({ readonly kind: 'export' } & ExportReading);

/** Reads many entries for one request. */
export interface Readings {
  /** A page of a search: the JSON text of its answer. @throws AntequemError `log-damaged`; Problem `overloaded` */
  search(search: SearchReading): Promise<Uint8Array>;
  /**
   * The next lines of an export; null: a checkpoint is needed; sizes: checkpoints are to be signed before.
   * @throws AntequemError `log-damaged`, `round-damaged`; Problem `overloaded`
   */
  lines(lines: ExportReading): Promise<ExportedLines | UnsignedSizes | null>;
  close(): Promise<void>;
}

/** Read side by side: while one waits for the database the other one computes. */
const AT_ONCE = 2;
/** The API refuses more before. */
const MOST_WAITING = 64;
const HEAP_MB = 192;

const answered = z.union([bytes, exportedLines, unsignedSizes, z.null()]);

/** Reads in a thread of its own, with its own connections to the database: appends and other requests do not wait for it. */
export class ReadingThread implements Readings {
  readonly #thread: WorkThread<z.infer<typeof answered>>;

  /** @param file what the thread runs @param data what it is given at its start */
  constructor(file: URL, data: unknown) {
    this.#thread = new WorkThread({
      file,
      data,
      parse: (answer) => answered.parse(answer),
      what: 'a search or an export',
      atOnce: AT_ONCE,
      mostWaiting: MOST_WAITING,
      heapMb: HEAP_MB,
    });
  }

  async search(search: SearchReading): Promise<Uint8Array> {
    return bytes.parse(await this.#thread.ask({ kind: 'search', ...search } satisfies Reading));
  }

  async lines(lines: ExportReading): Promise<ExportedLines | UnsignedSizes | null> {
    const forms = z.union([exportedLines, unsignedSizes, z.null()]);
    return forms.parse(await this.#thread.ask({ kind: 'export', ...lines } satisfies Reading));
  }

  close(): Promise<void> {
    return this.#thread.close();
  }
}
