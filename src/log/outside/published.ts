import { fromHex, toHex } from '../../core/bytes.ts';

/** How far something was published: a log up to this size with this root, or the rounds up to this number. */
export interface Mark {
  readonly size: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
}

export interface Change {
  /** Origin of a log, or the subject of the rounds of a service. */
  readonly subject: string;
  /** The mark that must be there now; null: none. */
  readonly from: Mark | null;
  readonly to: Mark;
}

/**
 * Remembers what was published, in a place that is not restored together with the database, so that losses of the database
 * are noticed. Several processes may use one store at the same time.
 *
 * Every method throws AntequemError `guard-unavailable` if the store does not answer within a few seconds; then it is unknown
 * whether a change took place.
 */
export interface PublishedStore {
  /** Where it is, for people; without secrets. */
  readonly name: string;
  /** What an operator should know: that a record was lost or damaged; null: nothing. */
  readonly problem?: string | null;
  /** The mark of each subject; null: none. Includes all changes that were made before. */
  read(subjects: readonly string[]): Promise<(Mark | null)[]>;
  /** All marks. */
  all(): Promise<ReadonlyMap<string, Mark>>;
  /**
   * Makes each change whose subject still has the mark `from`, and returns for each whether it did. If two processes change
   * the same subject from the same mark, one of them gets false. Changes are then as durable as the store is.
   */
  compareAndSet(changes: readonly Change[]): Promise<boolean[]>;
  close(): Promise<void>;
}

export function sameMark(a: Mark | null, b: Mark | null): boolean {
  return markText(a) === markText(b);
}

/** A mark as a word; equal marks have equal texts. */
export function markText(mark: Mark | null): string {
  return mark === null ? '-' : `${mark.size}:${toHex(mark.root)}`;
}

/** @param text as `markText` writes it, of a mark */
export function parseMark(text: string): Mark {
  const [size = '', root = ''] = text.split(':');
  return { size: Number(size), root: fromHex(root) };
}
