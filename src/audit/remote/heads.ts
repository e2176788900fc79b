import { parseCheckpoint } from '../../core/checkpoint.ts';
import { parsed } from '../../core/errors.ts';
import { parseNote } from '../../core/note.ts';
import type { Findings } from '../checks/findings.ts';
import type { Keeper } from './keeper.ts';
import { checkpointPath, MAX_CHECKPOINT } from './layout.ts';
import type { ShownLog } from './shown-logs.ts';
import type { AuditSource } from './source.ts';

/** The newest checkpoint of a log, signed by its key. */
export interface ShownHead {
  readonly size: number;
  readonly root: Uint8Array;
  readonly note: string;
}

const toldBySystem = ({ name }: ShownLog): string => `_system tells that ${name} was made`;

/** Reads the newest checkpoint of each log once, so that an audit has one view of it. */
export class Heads {
  readonly #source: AuditSource;
  readonly #findings: Findings;
  readonly #known: (log: ShownLog) => string;
  readonly #heads = new Map<string, Promise<ShownHead | null>>();

  /** @param known what tells that a log without a checkpoint was there; throws where nothing does */
  constructor(source: AuditSource, findings: Findings, known = toldBySystem) {
    this.#source = source;
    this.#findings = findings;
    this.#known = known;
  }

  /** Null, and a finding, where there is none to go by. */
  of(log: ShownLog): Promise<ShownHead | null> {
    const known = this.#heads.get(log.name) ?? this.#read(log);
    this.#heads.set(log.name, known);
    return known;
  }

  /** Keeps those that were read; `_system` last, for it vouches for all others. */
  async keep(keeper: Keeper, names: readonly string[]): Promise<void> {
    for (const name of names) {
      const head = await this.#heads.get(name);
      if (head === null || head === undefined) continue;
      keeper.keep(checkpointPath(name), Buffer.from(head.note, 'utf8'), () => true);
      await keeper.settled();
    }
    await keeper.flush();
  }

  async #read(log: ShownLog): Promise<ShownHead | null> {
    const { name, origin } = log;
    const bytes = await this.#source.read(checkpointPath(name), MAX_CHECKPOINT);
    if (bytes === null) {
      this.#findings.add('log-gone', { log: name }, `${this.#known(log)}, and no checkpoint of it is served`);
      return null;
    }
    const note = Buffer.from(bytes).toString('utf8');
    const read = parsed(() => parseNote(note));
    const head = read === null ? null : parsed(() => parseCheckpoint(read.text));
    if (read === null || head?.origin !== origin) {
      const says = `what is served as the checkpoint of ${name} is not one of that log`;
      this.#findings.add('checkpoint-unreadable', { log: name }, says);
      return null;
    }
    // Nothing is read for the sake of what the log did not sign.
    if ((await log.keys.faultOf(read)) !== null) {
      const says = `the signature of ${name} at size ${head.size} does not hold`;
      this.#findings.add('signature-broken', { log: name }, says);
      return null;
    }
    return {
      size: head.size,
      root: head.root,
      // One of each log is held to the end: as bytes it is half as large.
      get note() {
        return Buffer.from(bytes).toString('utf8');
      },
    };
  }
}
