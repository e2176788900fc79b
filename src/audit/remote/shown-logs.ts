import { fromHex, toHex } from '../../core/bytes.ts';
import { logId, logOrigin } from '../../core/origin.ts';
import { beginningOf, type Floor, type LogPosition } from '../checks/entry-chain.ts';
import { KeyHistory, LogKeys } from '../checks/log-keys.ts';
import type { RoundLeaf, StoredCheckpoint } from '../checks/vouchers.ts';
import { openKey } from '../process/signatures.ts';
import type { KeyMemory, LogMemory, MlDsaMemory } from './state.ts';

/** A log that is audited, and what is to be checked of it next. */
export interface ShownLog {
  readonly name: string;
  readonly origin: string;
  /** 32 bytes. */
  readonly logId: Uint8Array;
  /** Its keys, in the order in which it got them. */
  readonly history: KeyHistory;
  /** The same, to check signatures with. */
  readonly keys: LogKeys;
  /** Its keys of ML-DSA, each beside the Ed25519 key of the same number; hex. */
  readonly mlDsaKeys: { readonly number: number; readonly publicKey: string }[];
  /** Since when it signs by ML-DSA as well, milliseconds; null: it does not, or no longer. */
  mlDsaSince: number | null;
  /** What an earlier audit found. */
  readonly memory: LogMemory | null;
  /** Up to where all was read, now or by an earlier audit. */
  position: LogPosition;
  /** Up to where it was compared with what rounds say of it. */
  rounded: LogPosition;
  /** Its size in the newest round that was compared. */
  covered: number;
  /** What rounds say of it and was not compared with its entries yet, ascending by size. */
  leaves: RoundLeaf[];
  checkpoints: StoredCheckpoint[];
  floors: Floor[];
  /** Something is wrong with it that leaves no way on. */
  broken: boolean;
}

/** The logs of a service, as `_system` tells of them. */
export class ShownLogs {
  readonly #serviceOrigin: string;
  readonly #byName = new Map<string, ShownLog>();
  readonly #byId = new Map<string, ShownLog>();

  constructor(serviceOrigin: string) {
    this.#serviceOrigin = serviceOrigin;
  }

  /**
   * @param publicKeys in the order in which it got them, each once
   * @throws FormatError `log-name-invalid`
   */
  add(name: string, publicKeys: readonly KeyMemory[], memory: LogMemory | null = null): ShownLog {
    const origin = logOrigin(this.#serviceOrigin, name);
    const id = logId(origin);
    const beginning = beginningOf({ logId: id });
    const keys = new LogKeys(
      origin,
      openKey,
      publicKeys.map(({ publicKey }) => publicKey),
    );
    for (const { publicKey, retiredAt } of publicKeys) if (retiredAt !== null) keys.retire(publicKey, retiredAt);
    const { since, keys: mlDsaKeys } = memory?.mlDsa ?? NO_ML_DSA;
    const log: ShownLog = {
      name,
      origin,
      logId: id,
      history: new KeyHistory(publicKeys),
      keys,
      mlDsaKeys: [],
      mlDsaSince: since,
      memory,
      position: memory?.position ?? beginning,
      rounded: memory?.rounded ?? beginning,
      covered: memory?.covered ?? 0,
      leaves: [],
      checkpoints: [],
      floors: [],
      broken: false,
    };
    addMlDsaKeys(log, mlDsaKeys);
    this.#byName.set(name, log);
    this.#byId.set(toHex(id), log);
    return log;
  }

  named(name: string): ShownLog | null {
    return this.#byName.get(name) ?? null;
  }

  withId(id: Uint8Array): ShownLog | null {
    return this.#byId.get(toHex(id)) ?? null;
  }

  all(): IterableIterator<ShownLog> {
    return this.#byName.values();
  }

  get count(): number {
    return this.#byName.size;
  }
}

const NO_ML_DSA: MlDsaMemory = { since: null, keys: [] };

/** Takes in keys of ML-DSA. One is retired with the Ed25519 key that it is beside. */
export function addMlDsaKeys(log: ShownLog, added: MlDsaMemory['keys']): void {
  for (const key of added) {
    const publicKey = fromHex(key.publicKey);
    if (!log.keys.has(publicKey)) log.mlDsaKeys.push(key);
    log.keys.add(publicKey);
    const retiredAt = log.history.entries.get(key.number)?.retiredAt ?? null;
    if (retiredAt !== null) log.keys.retire(publicKey, retiredAt);
  }
}

/** What is to be remembered of a log. */
export function memoryOf({ history, position, rounded, covered, mlDsaKeys, mlDsaSince }: ShownLog): LogMemory {
  const keys = [...history.entries.values()].map(({ publicKey, retiredAt }) => ({ publicKey, retiredAt }));
  const mlDsa = mlDsaKeys.length === 0 ? {} : { mlDsa: { since: mlDsaSince, keys: mlDsaKeys } };
  return { keys, position, rounded, covered, ...mlDsa };
}
