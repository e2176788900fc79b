// What an auditor remembers from one audit to the next: where it came to, and which keys it saw. It makes an audit
// resumable, and it is a witness besides: what was rewritten or cut off below it shows.

import * as z from 'zod/mini';
import type { ChainMemory } from '../../core/anchor-audit.ts';
import { AntequemError, parsed } from '../../core/errors.ts';
import { checkLogName } from '../../core/origin.ts';
import { chainSchema, countSchema } from '../../core/receipt-schema.ts';
import { blockMomentSchema } from '../../core/verdict-schema.ts';
import { mlDsaKeyHex } from '../checks/acts.ts';
import type { LogPosition } from '../checks/entry-chain.ts';
import type { RoundAt } from '../checks/rounds.ts';
import { readAuditState, storedHash, storedPosition, writeAuditState } from '../process/state-file.ts';

const FORMAT = 'antequem-mirror-state/v1';
/** Rounds that are remembered because a chain does not have them yet; of more the next audit reads all rounds. */
export const MOST_OPEN = 10_000;

const count = countSchema(0);
const roundAt = z.object({ number: count, root: storedHash, closedAt: count });
const form = z.strictObject({
  format: z.literal(FORMAT),
  /** The service's origin. */
  origin: z.string(),
  /** Whether the key of `_system` was given by somebody once, not taken from the service. */
  keysGiven: z.boolean(),
  /** By name. */
  logs: z.record(
    z.string().check(z.refine(isLogName)),
    z.strictObject({
      /** In the order in which it got them. */
      keys: z.readonly(
        z.array(z.object({ publicKey: storedHash, retiredAt: z.nullable(count) })).check(z.minLength(1)),
      ),
      /** Up to where all was read. */
      position: storedPosition,
      /** Up to where all was compared that rounds say of it. */
      rounded: storedPosition,
      /** Its size in the newest round that was compared. */
      covered: count,
      /** Of a log that signs by ML-DSA, or did. */
      mlDsa: z.optional(
        z.strictObject({
          since: z.nullable(count),
          keys: z.readonly(z.array(z.strictObject({ number: count, publicKey: mlDsaKeyHex }))),
        }),
      ),
    }),
  ),
  /** Rounds that are audited, with all that they vouch for. */
  rounds: z.nullable(roundAt),
  /** The newest round that was read, whose leaves were not all looked at when the state was written. */
  reading: z.nullable(roundAt),
  senders: z.array(z.strictObject({ chain: z.string(), address: z.string() })),
  recovered: z.nullable(count),
  /** Not in files of older releases. */
  unconfirmed: z.optional(z.nullable(count)),
  chains: z.record(
    chainSchema,
    z.strictObject({
      /** Searched up to this block. */
      block: count,
      /** For these accounts and contracts, as one text. */
      search: z.string(),
      /** Rounds that it has. */
      anchored: count,
      newest: z.nullable(
        z.strictObject({
          round: count,
          moment: blockMomentSchema,
        }),
      ),
    }),
  ),
  /** Rounds that are not final on some chain that was asked, or by the service's own word. */
  open: z.array(z.extend(roundAt, { missing: z.readonly(z.array(chainSchema)) })).check(z.maxLength(MOST_OPEN)),
});

/** A key of a log. */
export interface KeyMemory {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Milliseconds; null while it signs. */
  readonly retiredAt: number | null;
}

/** What a log signs by ML-DSA with. */
export interface MlDsaMemory {
  /** Since when, milliseconds; null: no longer. */
  readonly since: number | null;
  /** Each beside the Ed25519 key of the same number; hex. */
  readonly keys: readonly { readonly number: number; readonly publicKey: string }[];
}

export interface LogMemory {
  readonly keys: readonly KeyMemory[];
  readonly position: LogPosition;
  readonly rounded: LogPosition;
  readonly covered: number;
  readonly mlDsa?: MlDsaMemory | undefined;
}

export interface OpenRound extends RoundAt {
  /** Chains that were asked and do not have it in a final block. */
  readonly missing: readonly string[];
}

/** The memory, in a file. */
export class MirrorState {
  keysGiven = false;
  rounds: RoundAt | null = null;
  reading: RoundAt | null = null;
  senders: { chain: string; address: string }[] = [];
  /** When the operator last declared that something was lost, milliseconds. */
  recovered: number | null = null;
  /** Since when the holds are to be confirmed, milliseconds; null: they are. */
  unconfirmed: number | null = null;
  readonly logs = new Map<string, LogMemory>();
  readonly chains = new Map<string, ChainMemory>();
  open: OpenRound[] = [];
  #origin: string | null = null;
  readonly #file: string | null;

  /** @param file null: nothing is remembered */
  constructor(file: string | null) {
    this.#file = file;
  }

  /** Reads the file; one that is not there yet knows nothing. @throws AntequemError `audit-state-invalid` */
  static async open(path: string): Promise<MirrorState> {
    const state = new MirrorState(path);
    const stored = await readAuditState(path, form);
    if (stored === null) return state;
    state.#origin = stored.origin;
    state.keysGiven = stored.keysGiven;
    for (const [name, log] of Object.entries(stored.logs)) state.logs.set(name, log);
    state.rounds = stored.rounds;
    state.reading = stored.reading;
    state.senders = stored.senders;
    state.recovered = stored.recovered;
    state.unconfirmed = stored.unconfirmed ?? null;
    for (const [chain, memory] of Object.entries(stored.chains)) state.chains.set(chain, memory);
    state.open = stored.open;
    return state;
  }

  /** The service that it is about; null while it knows nothing. */
  get origin(): string | null {
    return this.#origin;
  }

  /** @throws AntequemError `audit-state-invalid` where it is about another service */
  claim(origin: string): void {
    if (this.#origin !== null && this.#origin !== origin) {
      throw new AntequemError(
        'audit-state-invalid',
        `${this.#file} remembers ${this.#origin}, and ${origin} is what answers: name another state file for it`,
      );
    }
    this.#origin = origin;
  }

  /** Writes the file, whole or not at all. */
  async save(): Promise<void> {
    if (this.#file === null || this.#origin === null) return;
    const { keysGiven, rounds, reading, senders, recovered, unconfirmed, open } = this;
    await writeAuditState(this.#file, form, {
      format: FORMAT,
      origin: this.#origin,
      keysGiven,
      logs: Object.fromEntries(this.logs),
      rounds,
      reading,
      senders,
      recovered,
      unconfirmed,
      chains: Object.fromEntries(this.chains),
      open,
    });
  }
}

function isLogName(name: string): boolean {
  return parsed(() => checkLogName(name)) !== null;
}
