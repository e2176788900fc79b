// The logs of a service and their keys, as `_system` tells of them.

import { equalBytes, fromHex } from '../../core/bytes.ts';
import type { Verifier } from '../../core/note.ts';
import { SYSTEM_LOG } from '../../core/origin.ts';
import { type Act, type ActOf, logNameOf } from '../checks/acts.ts';
import type { Findings } from '../checks/findings.ts';
import { confirmedSize, type LogKeyAct } from '../checks/log-keys.ts';
import { addMlDsaKeys, type ShownLog, type ShownLogs } from './shown-logs.ts';

export interface LogActsOptions {
  readonly serviceOrigin: string;
  readonly logs: ShownLogs;
  readonly findings: Findings;
  /** Keys of logs that are known from elsewhere. */
  readonly verifiers: readonly Verifier[];
  /** Keys of `_system` that are believed. */
  readonly anchors: readonly Uint8Array[];
}

/** Takes in logs that were made, and keys that they got and lost. */
export class LogActs {
  readonly #options: LogActsOptions;
  readonly #system: LogKeyAct[] = [];

  constructor(options: LogActsOptions) {
    this.#options = options;
  }

  take(act: Act): void {
    if (act.act === 'log-created') this.#made(act);
    else if (act.act === 'log-ml-dsa') this.#byMlDsa(act);
    else if (act.act === 'log-key-added' || act.act === 'log-key-retired') this.#changed(act);
  }

  /** Checks at the end that logs have the keys that were given, and that believed keys named the others of `_system`. */
  finish(system: ShownLog): void {
    const { anchors, findings, verifiers, logs, serviceOrigin } = this.#options;
    for (const { name: origin, publicKey } of verifiers) {
      const name = logNameOf(serviceOrigin, origin) ?? '';
      if (logs.named(name)?.keys.has(publicKey) !== false) continue;
      findings.add('key-differs', { log: name }, `${name} does not have the key that was given for it`);
    }
    const confirmed = confirmedSize(system.keys, this.#system, anchors);
    if (confirmed >= system.keys.reach()) return;
    const says = `from size ${confirmed} on _system is signed by keys that it tells of itself, and by none that is known otherwise`;
    findings.add('key-differs', { log: SYSTEM_LOG }, says);
  }

  #made({ log: origin, publicKey, entry }: ActOf<'log-created'>): void {
    const { findings, logs, serviceOrigin } = this.#options;
    const key = fromHex(publicKey);
    const name = logNameOf(serviceOrigin, origin);
    if (name === null || name === SYSTEM_LOG) {
      const says = `entry ${entry} of _system tells of a log ${origin.slice(0, 200)}, which is none of this service`;
      findings.add('act-unreadable', { log: SYSTEM_LOG, index: entry }, says);
      return;
    }
    const known = logs.named(name);
    const first = known?.history.entries.get(1);
    if (first !== undefined && !equalBytes(first.publicKey, key)) {
      const says = `entry ${entry} of _system names another key of ${name} than was seen before`;
      findings.add('key-differs', { log: name }, says);
    }
    if (known === null) logs.add(name, [{ publicKey: key, retiredAt: null }]);
  }

  #byMlDsa({ log: origin, on, keys, at, entry }: ActOf<'log-ml-dsa'>): void {
    const { findings, logs, serviceOrigin } = this.#options;
    const log = logs.named(logNameOf(serviceOrigin, origin) ?? '');
    if (log === null) {
      const says = `entry ${entry} of _system tells of keys of ML-DSA of ${origin.slice(0, 200)}, and the log is missing`;
      findings.add('log-gone', {}, says);
      return;
    }
    log.mlDsaSince = on ? (log.mlDsaSince ?? at) : null;
    addMlDsaKeys(log, keys);
  }

  #changed(act: LogKeyAct): void {
    const { findings, logs, serviceOrigin } = this.#options;
    const { number, entry, at } = act;
    const publicKey = fromHex(act.publicKey);
    const name = logNameOf(serviceOrigin, act.log);
    const log = name === null ? null : logs.named(name);
    if (log === null) {
      const says = `entry ${entry} of _system tells of key ${number} of ${act.log.slice(0, 200)}, and the log is missing`;
      findings.add('log-gone', {}, says);
      return;
    }
    if (log.name === SYSTEM_LOG) this.#system.push(act);
    const added = act.act === 'log-key-added';
    const unnamed = log.name === SYSTEM_LOG && added && !log.keys.has(publicKey);
    const fault = log.history.take(act, log.name) ?? (unnamed ? 'adds a key that the service does not name' : null);
    if (fault !== null) findings.add('key-differs', { log: log.name }, `entry ${entry} of _system ${fault}`);
    if (added) log.keys.add(publicKey);
    else {
      log.keys.retire(publicKey, at);
      addMlDsaKeys(
        log,
        log.mlDsaKeys.filter((key) => key.number === number),
      );
    }
  }
}
