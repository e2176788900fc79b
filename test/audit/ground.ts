// A real service on a real chain, and how a third party audits it.

import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Audit } from '../../src/audit/checks/verdict.ts';
import { auditRemote, type RemoteAuditOptions } from '../../src/audit/remote/audit.ts';
import { FolderSource } from '../../src/audit/remote/folder-source.ts';
import { HttpSource } from '../../src/audit/remote/http-source.ts';
import { Keeper } from '../../src/audit/remote/keeper.ts';
import type { AuditSource } from '../../src/audit/remote/source.ts';
import { MirrorState } from '../../src/audit/remote/state.ts';
import { trustedNode } from '../support/audit.ts';
import { anchorAll } from '../support/history.ts';
import { type TestService, testService } from '../support/service.ts';

export interface AuditHow extends Partial<RemoteAuditOptions> {
  /** Where the service answers, or a folder with a mirror. */
  readonly at: string;
  readonly apiKey?: string;
  readonly rpc?: string | undefined;
  /** What stands before what is read. */
  readonly recorded?: (source: AuditSource) => AuditSource;
  /** A state file. */
  readonly remember?: string;
  /** A folder for a mirror. */
  readonly save?: string;
}

/** Audits as the command line does. */
export async function auditOf(how: AuditHow): Promise<Audit> {
  const { at, apiKey, rpc, remember, save, recorded, ...rest } = how;
  const plain = /^http/.test(at) ? new HttpSource({ url: at, apiKey, pause: 10 }) : new FolderSource(at);
  const source = recorded?.(plain) ?? plain;
  const file = save === undefined ? remember : join(save, 'state.json');
  try {
    return await auditRemote({
      source,
      keeper: save === undefined ? null : await Keeper.open(save),
      state: file === undefined ? new MirrorState(null) : await MirrorState.open(file),
      verifiers: [],
      nodes: rpc === undefined ? [] : [trustedNode(rpc)],
      bitcoin: [],
      senders: [],
      fromBlock: 0,
      against: null,
      onProgress: () => {},
      clock: () => performance.now(),
      ...rest,
    });
  } finally {
    source.close();
  }
}

/** Codes of the findings, the first in front. */
export function codesOf({ findings }: Pick<Audit, 'findings'>): string[] {
  return findings.map(({ code }) => code);
}

/** Lines `label 0` … as entries of a log, which is made where it is not there. */
export async function appendLines(service: TestService, log: string, count: number, label: string): Promise<void> {
  if ((await service.send('PUT', `/v1/logs/${log}`)).status >= 300) throw new Error(`no log ${log}`);
  for (let at = 0; at < count; at += 10_000) {
    const lines = Array.from({ length: Math.min(10_000, count - at) }, (_, i) => `${label} ${at + i}`);
    const sent = await service.send('POST', `/v1/logs/${log}/entries?split=lines`, { body: lines.join('\n') });
    if (sent.status !== 201) throw new Error(sent.text);
  }
}

/** Anchors all rounds that are not, by the service's account. */
export async function anchorRounds({ foundation }: TestService, rpc: string): Promise<void> {
  const { database, registry, appender } = foundation;
  await anchorAll({ database, registry, sequencing: appender.sequencing, clock: { now: Date.now } }, rpc);
}

/** A service of a seed of its own, or of a given one. */
export async function seededService(seedFile: string, ahead: () => number = () => 0): Promise<TestService> {
  if (!existsSync(seedFile)) await writeFile(seedFile, '5e'.repeat(32));
  return testService({ config: { logSeedFile: seedFile }, ahead });
}

export async function temporaryFolder(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'antequem-mirror-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
