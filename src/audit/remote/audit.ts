// A third party's audit: of what a service shows, or of a mirror of it, without its database.

import { AllRoundsNeeded, type AuditTrust, type ChainOutcome } from '../../core/anchor-audit.ts';
import type { HeaderSource } from '../../core/bitcoin-source.ts';
import { equalBytes, utf8 } from '../../core/bytes.ts';
import { AntequemError } from '../../core/errors.ts';
import { parseVerifierKey, type Verifier } from '../../core/note.ts';
import { logOrigin, SYSTEM_LOG } from '../../core/origin.ts';
import { TILE_WIDTH, tileLocation } from '../../core/tiles.ts';
import { Findings } from '../checks/findings.ts';
import { type Audit, type AuditResult, auditVerdict } from '../checks/verdict.ts';
import { Saver } from '../process/state-file.ts';
import { Anchoring } from './anchoring.ts';
import { readService, type ServiceAnswer } from './answers.ts';
import { compareViews } from './comparison.ts';
import type { Keeper } from './keeper.ts';
import { type KindAuditor, openKindAudits } from './kinds.ts';
import { actsPath, SERVICE } from './layout.ts';
import { HOLDING, type Holding, Pass, type PassResult } from './pass.ts';
import { auditPublic, type PublicAuditOptions } from './public.ts';
import type { AuditSource } from './source.ts';
import type { KeyMemory } from './state.ts';

/** With what the auditor trusts. */
export interface RemoteAuditOptions extends PublicAuditOptions, Omit<AuditTrust, 'headers'> {
  readonly bitcoin: readonly HeaderSource[];
  /** Default: what a small machine has room for. */
  readonly holding?: Holding;
}

/**
 * Audits a service over the network, or a mirror on disk.
 * @throws AntequemError what the source fails with; `audit-state-invalid`; `service-unknown` where there is none to audit
 */
export async function auditRemote(options: RemoteAuditOptions): Promise<Audit> {
  const { source, verifiers, state } = options;
  // Before anything is read: what is anchored meanwhile is beyond what is asked for.
  const auditors = await openKindAudits({ ...options, headers: options.bitcoin });
  const service = await describe(source, verifiers);
  if (service === null) return auditPublic(options);
  state.claim(service.origin);
  const unheard = auditors.some(({ chains }) => chains.some((chain) => !state.chains.has(chain)));
  // What _system signed before the key was given tells whether that key confirms the others.
  const unknown =
    unheard || (!state.keysGiven && verifiers.some(({ name }) => name === logOrigin(service.origin, SYSTEM_LOG)));
  try {
    return await new Auditor(options, service, auditors, unknown).run();
  } catch (error) {
    if (!(error instanceof AllRoundsNeeded)) throw error;
    return new Auditor(options, service, auditors, true).run();
  }
}

/** What the service says of itself; null where that is refused or not there and keys of logs were given to go by. */
async function describe(source: AuditSource, verifiers: readonly Verifier[]): Promise<ServiceAnswer | null> {
  try {
    const service = await readService(source);
    if (service !== null || verifiers.length > 0) return service;
  } catch (error) {
    const refused = error instanceof AntequemError && error.code === 'service-refused';
    if (refused && verifiers.length > 0) return null;
    if (!refused) throw error;
    throw new AntequemError(
      'service-refused',
      `${error.message}; without one only logs whose key is given with --key can be audited`,
      { cause: error },
    );
  }
  throw new AntequemError(
    'service-unknown',
    `${source.describe()} is no Antequem service of this version and no finished mirror of one`,
  );
}

class Auditor {
  readonly #options: RemoteAuditOptions;
  readonly #service: ServiceAnswer;
  readonly #findings = new Findings();
  readonly #anchoring: Anchoring;
  readonly #all: boolean;
  readonly #saver: Saver;
  /** Whether the key of `_system` was given, now or to an earlier audit that found nothing. */
  #keysGiven = false;

  constructor(options: RemoteAuditOptions, service: ServiceAnswer, auditors: readonly KindAuditor[], all: boolean) {
    const { state } = options;
    this.#options = options;
    this.#service = service;
    this.#all = all || state.rounds === null;
    const { keeper, clock } = options;
    // The mirror first, so that the state tells of nothing that the mirror does not have.
    const save = async (): Promise<void> => {
      await keeper?.flush();
      await state.save();
    };
    this.#saver = new Saver(save, clock);
    this.#anchoring = new Anchoring({
      auditors,
      findings: this.#findings,
      chains: service.chains,
      memory: this.#all ? null : state,
      copy: options.source.copy ?? false,
      onBlock: (chain, block, until) => options.onProgress(`${chain} block ${block} of ${until}`, 0, 0),
    });
  }

  async run(): Promise<Audit> {
    const { source, keeper, state, verifiers, against, onProgress, clock } = this.#options;
    const began = clock();
    const keys = this.#systemKeys();
    const pass = new Pass({
      source,
      keeper,
      state,
      findings: this.#findings,
      serviceOrigin: this.#service.origin,
      ...keys,
      verifiers,
      newest: this.#service.rounds,
      anchoring: this.#anchoring,
      all: this.#all,
      holding: this.#options.holding ?? HOLDING,
      onProgress,
      onSafe: () => this.#saver.tick(),
    });
    const passed = await pass.run();
    const walked = clock() - began;
    if (passed.incomplete !== null) return this.#audit(passed, [], null, walked);
    const { outcomes, chains, open } = await this.#anchoring.finish(passed.declared);
    const compared =
      against === null
        ? null
        : await compareViews({
            source,
            against,
            findings: this.#findings,
            serviceOrigin: this.#service.origin,
            logs: passed.walked.map(({ log }) => log),
            rounds: passed.rounds,
            onProgress,
          });
    await keeper?.flush();
    for (const path of keeper?.conflicts ?? []) {
      const says = `the mirror ${keeper?.folder} has something else at ${path} than what is served, which was put into conflicting/`;
      this.#findings.add('view-split', {}, says);
    }
    if (this.#findings.count === 0) {
      state.keysGiven = this.#keysGiven;
      // Of a chain that was not asked now nothing can be told of the rounds read meanwhile: it is forgotten.
      state.chains.clear();
      for (const [chain, memory] of chains) state.chains.set(chain, memory);
      if (open === null) state.rounds = null;
      state.open = [...(open ?? [])];
      if (keeper !== null) await finishMirror(keeper, this.#service, passed);
    }
    await this.#saver.save();
    return this.#audit(passed, outcomes, compared, walked);
  }

  #audit(
    passed: PassResult,
    chains: readonly ChainOutcome[],
    compared: AuditResult['compared'],
    walked: number,
  ): Audit {
    const { logs, entries, resumed, acts, checkpoints, rounds, unrounded, declared, incomplete } = passed;
    const result = {
      by: 'the service',
      logs,
      entries,
      resumed,
      contents: null,
      acts,
      checkpoints,
      rounds,
      unrounded,
      keysKnown: this.#keysGiven,
      recovered: declared.recoveredAt !== null,
      chains,
      compared,
      incomplete,
    };
    return { verdict: auditVerdict(result, this.#findings), findings: this.#findings.list(), result, walked };
  }

  /**
   * The keys of `_system` by all that is known, and those of them that are gone by: what was given, else what was seen
   * before, else what the service names.
   */
  #systemKeys(): { readonly systemKeys: readonly KeyMemory[]; readonly anchors: readonly Uint8Array[] } {
    const { verifiers, state } = this.#options;
    const origin = logOrigin(this.#service.origin, SYSTEM_LOG);
    const given = verifiers.filter(({ name }) => name === origin).map(({ publicKey }) => publicKey);
    const named = (this.#service.verifierKeys ?? [this.#service.verifierKey]).map(parseVerifierKey);
    const seen = state.logs.get(SYSTEM_LOG)?.keys ?? [];
    // An earlier audit that was given a key confirmed the others by it.
    const believed = state.keysGiven ? [...given, ...seen.map(({ publicKey }) => publicKey)] : given;
    const differs = (says: string): void => this.#findings.add('key-differs', { log: SYSTEM_LOG }, says);
    const isNamed = (key: Uint8Array): boolean => named.some(({ publicKey }) => equalBytes(publicKey, key));
    if (named.some(({ name }) => name !== origin)) differs('the service names keys of another log as those of _system');
    if (!given.every(isNamed)) differs('the service does not name the key of _system that was given');
    if (!seen.every(({ publicKey }) => isNamed(publicKey))) {
      differs('the service does not name the key of _system any more that was seen before');
    }
    this.#keysGiven = state.keysGiven || (given.length > 0 && this.#findings.count === 0);
    const systemKeys = [...seen];
    for (const publicKey of [...named.map((key) => key.publicKey), ...given]) {
      if (systemKeys.every((key) => !equalBytes(key.publicKey, publicKey)))
        systemKeys.push({ publicKey, retiredAt: null });
    }
    const anchors = [believed, seen.map(({ publicKey }) => publicKey), named.map(({ publicKey }) => publicKey)];
    return { systemKeys, anchors: anchors.find(({ length }) => length > 0) ?? [] };
  }
}

/**
 * Makes what was kept a mirror: checkpoints and the description of the service name what is there already. What only an
 * older, smaller tree had goes last, so that a mirror is whole at every moment.
 */
async function finishMirror(keeper: Keeper, service: ServiceAnswer, passed: PassResult): Promise<void> {
  await keeper.flush();
  await passed.heads.keep(
    keeper,
    passed.walked.map(({ name }) => name),
  );
  keeper.keep(SERVICE, utf8(`${JSON.stringify({ ...service, rounds: passed.rounds })}\n`), () => true);
  await keeper.flush();
  for (const { name, before, size } of passed.walked) {
    if (before !== size) await dropPartials(keeper, name, before, size);
  }
}

/** Those of the tree of `before` entries that the tree of `size` entries does not have. */
async function dropPartials(keeper: Keeper, log: string, before: number, size: number): Promise<void> {
  let nodes = size;
  for (let level = 0, old = before; old > 0; level++, old = Math.floor(old / TILE_WIDTH)) {
    const index = Math.floor(old / TILE_WIDTH);
    const width = index === Math.floor(nodes / TILE_WIDTH) ? nodes % TILE_WIDTH : 0;
    const but = width === 0 ? null : String(width);
    await keeper.dropPartials(`logs/${log}/${tileLocation({ level, index, width: TILE_WIDTH })}`, but);
    if (level === 0) {
      await keeper.dropPartials(`logs/${log}/${tileLocation({ level: 'entries', index, width: TILE_WIDTH })}`, but);
      if (log === '_system') await keeper.dropPartials(actsPath(index, TILE_WIDTH), but);
    }
    nodes = Math.floor(nodes / TILE_WIDTH);
  }
}
