// The keys that logs have, as `_system` tells of them.

import { equalBytes, fromHex } from '../../core/bytes.ts';
import type { Verifier } from '../../core/note.ts';
import { logOrigin, SYSTEM_LOG } from '../../core/origin.ts';
import type { Act, ActOf } from '../checks/acts.ts';
import type { Findings } from '../checks/findings.ts';
import { confirmedSize, type LogKeyAct } from '../database/log-key-acts.ts';
import { formed } from './formed.ts';
import { type AuditedLog, addKey, type Ledger, retireKey } from './ledger.ts';

export interface KeyActsOptions {
  readonly serviceOrigin: string;
  readonly ledger: Ledger;
  readonly findings: Findings;
  /** Keys of logs that are known otherwise. */
  readonly verifiers: readonly Verifier[];
  /** Keys of `_system` that are gone by. */
  readonly anchors: readonly Uint8Array[];
}

/** Takes in logs that were made, and keys that they got and lost. */
export class KeyActs {
  readonly #options: KeyActsOptions;
  readonly #system: LogKeyAct[] = [];

  constructor(options: KeyActsOptions) {
    this.#options = options;
  }

  take(act: Act): void {
    if (act.act === 'log-created') this.#made(act);
    else if (act.act === 'log-key-added' || act.act === 'log-key-retired') this.#changed(act);
  }

  /** Looks at the end whether logs have the keys that were given, and whether known keys named the others of `_system`. */
  finish(system: AuditedLog): void {
    const { anchors, findings, verifiers, ledger } = this.#options;
    for (const { name: origin, publicKey } of verifiers) {
      const name = this.#nameOf(origin) ?? '';
      if (ledger.named(name)?.keys.has(publicKey) !== false) continue;
      findings.add('key-differs', { log: name }, `${name} does not have the key that was given for it`);
    }
    const confirmed = confirmedSize(system.keys, this.#system, anchors);
    if (confirmed >= system.keys.reach()) return;
    const says = `from size ${confirmed} on _system is signed by keys that it tells of itself, and by none that is known otherwise`;
    findings.add('key-differs', { log: SYSTEM_LOG }, says);
  }

  #made({ log: origin, publicKey, entry }: ActOf<'log-created'>): void {
    const { findings, ledger } = this.#options;
    const key = fromHex(publicKey);
    const name = this.#nameOf(origin);
    if (name === null || name === SYSTEM_LOG) {
      const says = `entry ${entry} of _system tells of a log ${origin.slice(0, 200)}, which is none of this service`;
      findings.add('act-unreadable', { log: SYSTEM_LOG, index: entry }, says);
      return;
    }
    const known = ledger.named(name);
    const [first] = known?.publicKeys ?? [];
    if (first !== undefined && !equalBytes(first.publicKey, key)) {
      const says = `entry ${entry} of _system names another key of ${name} than was seen before`;
      findings.add('key-differs', { log: name }, says);
    }
    if (known === null) ledger.add(name, [{ publicKey: key, retiredAt: null }]);
  }

  #changed(act: LogKeyAct): void {
    const { findings, ledger } = this.#options;
    const { number, entry, at } = act;
    const publicKey = fromHex(act.publicKey);
    const name = this.#nameOf(act.log);
    const log = name === null ? null : ledger.named(name);
    if (log === null) {
      const says = `entry ${entry} of _system tells of key ${number} of ${act.log.slice(0, 200)}, and of no such log before`;
      findings.add('log-gone', {}, says);
      return;
    }
    const differs = (says: string): void =>
      findings.add('key-differs', { log: log.name }, `entry ${entry} of _system ${says}`);
    if (log.name === SYSTEM_LOG) this.#system.push(act);
    if (act.act === 'log-key-retired') {
      if (!log.keys.has(publicKey)) differs(`retires key ${number} of ${log.name}, which it does not have`);
      retireKey(log, publicKey, at);
      return;
    }
    if (log.keys.has(publicKey)) return;
    if (log.name === SYSTEM_LOG) differs(`adds a key to _system that the service does not name`);
    else if (number !== log.publicKeys.length + 1) {
      differs(`adds key ${number} to ${log.name}, and ${log.publicKeys.length + 1} comes next`);
    }
    addKey(log, { publicKey, retiredAt: null });
  }

  /** The name of the log with this origin, null where it is none of the service. */
  #nameOf(origin: string): string | null {
    const { serviceOrigin } = this.#options;
    const name = origin.slice(`${serviceOrigin}/logs/`.length);
    return formed(() => logOrigin(serviceOrigin, name)) === origin ? name : null;
  }
}
