// The audit of what anybody may read: logs whose keys were given, without rounds.

import { equalBytes } from '../../core/bytes.ts';
import { AntequemError } from '../../core/errors.ts';
import { checkServiceOrigin } from '../../core/origin.ts';
import { type Finding, Findings } from '../checks/findings.ts';
import type { MirrorAudit, MirrorAuditOptions } from './audit.ts';
import { compareViews } from './comparison.ts';
import { Heads } from './heads.ts';
import { type AuditedLog, Ledger } from './ledger.ts';
import { Saver } from './saver.ts';
import { mirrorVerdict } from './verdict.ts';
import { Walker } from './walker.ts';

const NO_ROUND = { number: 0, root: new Uint8Array(32), closedAt: 0 };

export async function auditPublic(options: MirrorAuditOptions): Promise<MirrorAudit> {
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
  const ledger = new Ledger(serviceOrigin);
  const logs = verifiers.map(({ name, publicKey }): AuditedLog => {
    const log = name.slice(`${serviceOrigin}/logs/`.length);
    const memory = state.logs.get(log) ?? null;
    if (memory?.keys.every((key) => !equalBytes(key.publicKey, publicKey))) {
      findings.add('key-differs', { log }, `the key of ${log} that was given is not the one that was seen before`);
    }
    return ledger.add(log, [...(memory?.keys ?? []), { publicKey, retiredAt: null }], memory);
  });
  const saver = new Saver(state, null, clock);
  let entries = 0;
  let total = 0;
  const remember = ({ name, publicKeys, position, rounded, covered, broken }: AuditedLog): void => {
    if (!broken && !findings.concern(name)) state.logs.set(name, { keys: publicKeys, position, rounded, covered });
  };
  const walker = new Walker({
    source,
    keeper: null,
    findings,
    heads: new Heads(source, findings),
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
  await walker.toHeads(logs, NO_ROUND);
  const walked = clock() - began;
  const compared =
    against === null
      ? null
      : await compareViews({ source, against, findings, serviceOrigin, logs, rounds: null, onProgress });
  for (const log of logs) remember(log);
  await saver.save();
  const list: Finding[] = findings.list();
  const result = {
    logs: logs.length,
    entries,
    resumed: logs.reduce((sum, { known }) => sum + (known?.size ?? 0), 0),
    acts: 0,
    checkpoints: walker.checkpoints,
    rounds: null,
    unrounded: 0,
    keysKnown: true,
    recovered: false,
    chains: [],
    compared,
    findings: list,
    faults: findings.count,
  };
  return { verdict: mirrorVerdict(result), findings: list, result, walked };
}

/** @throws AntequemError `arguments-invalid` */
function serviceOriginOf(name: string): string {
  const [, origin] = /^(.+)\/logs\/[^/]+$/.exec(name) ?? [];
  if (origin === undefined) throw new AntequemError('arguments-invalid', `${name} is not the origin of a log`);
  checkServiceOrigin(origin);
  return origin;
}
