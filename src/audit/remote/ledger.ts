import { equalBytes, toHex } from '../../core/bytes.ts';
import { EMPTY_ROOT } from '../../core/merkle.ts';
import { logId, logOrigin } from '../../core/origin.ts';
import type { CheckpointRow, LeafRow } from '../database/checkpoints.ts';
import { LogKeys } from '../database/log-keys.ts';
import type { Position } from '../database/log-walk.ts';
import type { Floor } from './bundle-walk.ts';
import type { KeyMemory, LogMemory } from './state.ts';

/** A log that is audited, and what is to be looked at in it next. */
export interface AuditedLog {
  readonly name: string;
  readonly origin: string;
  /** 32 bytes. */
  readonly logId: Uint8Array;
  /** In the order in which it got them, as far as is known. */
  readonly publicKeys: KeyMemory[];
  /** The same, to check signatures with. */
  readonly keys: LogKeys;
  /** Where an earlier audit had come to. */
  readonly known: Position | null;
  /** Up to where all was read, now or by an earlier audit. */
  position: Position;
  /** Up to where all was compared that rounds say of it. */
  rounded: Position;
  /** Its size in the newest round that was compared. */
  covered: number;
  /** What rounds say of it and was not compared with its entries yet, ascending by size. */
  leaves: LeafRow[];
  checkpoints: CheckpointRow[];
  floors: Floor[];
  /** Something is wrong with it that leaves no way on. */
  broken: boolean;
}

/** The logs of a service, as `_system` tells of them. */
export class Ledger {
  readonly #serviceOrigin: string;
  readonly #byName = new Map<string, AuditedLog>();
  readonly #byId = new Map<string, AuditedLog>();

  constructor(serviceOrigin: string) {
    this.#serviceOrigin = serviceOrigin;
  }

  /** @throws FormatError `log-name-invalid` */
  add(name: string, publicKeys: readonly KeyMemory[], memory: LogMemory | null = null): AuditedLog {
    const origin = logOrigin(this.#serviceOrigin, name);
    const id = logId(origin);
    const beginning = beginningOf({ logId: id });
    const log: AuditedLog = {
      name,
      origin,
      logId: id,
      publicKeys: [],
      keys: new LogKeys({ origin }, []),
      known: memory?.position ?? null,
      position: memory?.position ?? beginning,
      rounded: memory?.rounded ?? beginning,
      covered: memory?.covered ?? 0,
      leaves: [],
      checkpoints: [],
      floors: [],
      broken: false,
    };
    for (const key of publicKeys) addKey(log, key);
    this.#byName.set(name, log);
    this.#byId.set(toHex(id), log);
    return log;
  }

  named(name: string): AuditedLog | null {
    return this.#byName.get(name) ?? null;
  }

  withId(id: Uint8Array): AuditedLog | null {
    return this.#byId.get(toHex(id)) ?? null;
  }

  all(): IterableIterator<AuditedLog> {
    return this.#byName.values();
  }

  get count(): number {
    return this.#byName.size;
  }
}

/** Where a log begins. */
export function beginningOf({ logId }: Pick<AuditedLog, 'logId'>): Position {
  return { size: 0, root: EMPTY_ROOT, leaf: logId, receivedAt: 0 };
}

/** Gives a log one more key. Twice is once. */
export function addKey(log: AuditedLog, key: KeyMemory): void {
  if (log.keys.has(key.publicKey)) return;
  log.publicKeys.push(key);
  log.keys.add(key.publicKey);
  if (key.retiredAt !== null) log.keys.retire(key.publicKey, key.retiredAt);
}

/** What was received later is not vouched for by this key any more. */
export function retireKey(log: AuditedLog, publicKey: Uint8Array, retiredAt: number): void {
  const place = log.publicKeys.findIndex((key) => equalBytes(key.publicKey, publicKey));
  if (place >= 0) log.publicKeys[place] = { publicKey, retiredAt };
  log.keys.retire(publicKey, retiredAt);
}
