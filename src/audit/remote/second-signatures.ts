// Of logs that sign by ML-DSA as well, the newest checkpoint must have that signature: whoever relies on it alone would otherwise
// be shown what somebody signed who has only the key of Ed25519.

import { parseNote } from '../../core/note.ts';
import { logOrigin } from '../../core/origin.ts';
import { Findings } from '../checks/findings.ts';
import { signatureFault } from '../checks/vouchers.ts';
import { ActReader } from './acts.ts';
import { Heads } from './heads.ts';
import type { ShownLog } from './shown-logs.ts';
import type { AuditSource } from './source.ts';

export interface SecondSignaturesOptions {
  readonly source: AuditSource;
  readonly serviceOrigin: string;
  readonly logs: Iterable<ShownLog>;
  readonly system: ShownLog;
  readonly heads: Heads;
  readonly findings: Findings;
}

/** Checks all logs, which were walked to their heads. */
export async function checkSecondSignatures(options: SecondSignaturesOptions): Promise<void> {
  const { serviceOrigin, logs, heads, findings } = options;
  const lacking: { readonly log: ShownLog; readonly size: number }[] = [];
  for (const log of logs) {
    if (log.mlDsaSince === null || log.broken) continue;
    const head = await heads.of(log);
    if (head === null || head.size !== log.position.size) continue;
    log.keys.signByMlDsa(log.mlDsaSince);
    const { size, note } = head;
    const fault = await log.keys.faultOf(parseNote(note), { size, receivedAt: log.position.receivedAt });
    if (fault === 'ml-dsa-missing') lacking.push({ log, size });
  }
  if (lacking.length === 0) return;
  const ended = await endedSince(options);
  for (const { log, size } of lacking) {
    if (ended.has(logOrigin(serviceOrigin, log.name))) continue;
    const place = { log: log.name, index: log.covered, until: size };
    findings.add('signature-broken', place, signatureFault(log.name, size, 'ml-dsa-missing'));
  }
}

/** Origins of logs that ended it while this audit ran: their checkpoints may have been read after that. The next audit checks these acts. */
async function endedSince({ source, system, heads }: SecondSignaturesOptions): Promise<ReadonlySet<string>> {
  const [before, now] = [await heads.of(system), await new Heads(source, new Findings()).of(system)];
  const ended = new Set<string>();
  if (before === null || now === null) return ended;
  const acts = new ActReader(source, null, new Findings(), before.size, now.size);
  for (let act = await acts.read(); act !== undefined; act = await acts.read()) {
    if (act?.act === 'log-ml-dsa' && !act.on) ended.add(act.log);
  }
  return ended;
}
