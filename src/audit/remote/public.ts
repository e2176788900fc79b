// The audit of what anybody may read: logs whose keys were given, and the chain of rounds of a public archive.

import { equalBytes } from '../../core/bytes.ts';
import { AntequemError } from '../../core/errors.ts';
import type { Verifier } from '../../core/note.ts';
import { checkServiceOrigin } from '../../core/origin.ts';
import { Findings } from '../checks/findings.ts';
import { type Audit, auditVerdict } from '../checks/verdict.ts';
import { Saver } from '../process/state-file.ts';
import { readPlace } from './archive.ts';
import { checkBareRounds } from './bare-rounds.ts';
import { compareViews } from './comparison.ts';
import { Heads } from './heads.ts';
import type { Keeper } from './keeper.ts';
import { memoryOf, type ShownLog, ShownLogs } from './shown-logs.ts';
import type { AuditSource } from './source.ts';
import type { MirrorState } from './state.ts';
import { Walker } from './walker.ts';

export interface PublicAuditOptions {
  readonly source: AuditSource;
  /** Where a mirror is kept; null: nowhere. */
  readonly keeper: Keeper | null;
  readonly state: MirrorState;
  /** Keys of logs that are known from elsewhere. */
  readonly verifiers: readonly Verifier[];
  /** Another view of the same service; null: none. */
  readonly against: AuditSource | null;
  readonly onProgress: (at: string, entries: number, total: number) => void;
  /** Milliseconds, monotonic. */
  readonly clock: () => number;
}

const NO_ROUND = { number: 0, root: new Uint8Array(32), closedAt: 0 };

/** @throws AntequemError `service-unknown` where a log is not served that no earlier audit read */
export async function auditPublic(options: PublicAuditOptions): Promise<Audit> {
  const { source, keeper, state, verifiers, against, onProgress, clock } = options;
  if (keeper !== null) {
    throw new AntequemError(
      'service-refused',
      `a mirror has rounds, and ${source.describe()} does not show them: give an API key with the scope read`,
    );
  }
  const began = clock();
  const origins = new Set(verifiers.map(({ name }) => serviceOriginOf(name)));
  const [serviceOrigin] = origins;
  if (serviceOrigin === undefined || origins.size !== 1) {
    throw new AntequemError(
      'arguments-invalid',
      'the keys given are of logs of several services: audit them one by one',
    );
  }
  state.claim(serviceOrigin);
  const findings = new Findings();
  const shown = new ShownLogs(serviceOrigin);
  const logs = verifiers.map(({ name, publicKey }): ShownLog => {
    const log = name.slice(`${serviceOrigin}/logs/`.length);
    const memory = state.logs.get(log) ?? null;
    const keys = memory?.keys ?? [];
    if (keys.some((key) => equalBytes(key.publicKey, publicKey))) return shown.add(log, keys, memory);
    if (memory !== null) {
      findings.add('key-differs', { log }, `the key of ${log} that was given is not the one that was seen before`);
    }
    return shown.add(log, [...keys, { publicKey, retiredAt: null }], memory);
  });
  const saver = new Saver(() => state.save(), clock);
  let entries = 0;
  let total = 0;
  const remember = (log: ShownLog): void => {
    if (!log.broken && !findings.concern(log.name)) state.logs.set(log.name, memoryOf(log));
  };
  const walker = new Walker({
    source,
    keeper: null,
    findings,
    heads: new Heads(source, findings, ({ name, memory }) => {
      if (memory !== null) return `an earlier audit read ${name}`;
      const says = `${source.describe()} serves no checkpoint of ${name}: check the address, and the key that was given`;
      throw new AntequemError('service-unknown', says);
    }),
    onBegin: (count) => {
      total += count;
    },
    onWalked: async (log, count) => {
      entries += count;
      onProgress(log.name, entries, total);
      remember(log);
      await saver.tick();
    },
  });
  await walker.toHeads(logs, NO_ROUND, 0);
  const place = await readPlace(source);
  if (place !== null && !place.leaves && place.origin === serviceOrigin) {
    await checkBareRounds(source, serviceOrigin, place.rounds, findings);
  }
  const walked = clock() - began;
  const compared =
    against === null
      ? null
      : await compareViews({ source, against, findings, serviceOrigin, logs, rounds: null, onProgress });
  for (const log of logs) remember(log);
  await saver.save();
  const result = {
    by: 'the service',
    logs: logs.length,
    entries,
    resumed: logs.reduce((sum, { memory }) => sum + (memory?.position.size ?? 0), 0),
    contents: null,
    acts: null,
    checkpoints: walker.checkpoints,
    rounds: null,
    links: place?.rounds ?? 0,
    unrounded: 0,
    keysKnown: true,
    recovered: false,
    chains: [],
    compared,
    incomplete: null,
  };
  return { verdict: auditVerdict(result, findings), findings: findings.list(), result, walked };
}

/** @throws AntequemError `arguments-invalid` */
function serviceOriginOf(name: string): string {
  const [, origin] = /^(.+)\/logs\/[^/]+$/.exec(name) ?? [];
  if (origin === undefined) throw new AntequemError('arguments-invalid', `${name} is not the origin of a log`);
  checkServiceOrigin(origin);
  return origin;
}
