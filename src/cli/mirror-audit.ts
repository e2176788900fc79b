// Audits a service by what it publishes, or a mirror, for the command line.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AuditSource } from '../audit/remote/source.ts';
import { AntequemError } from '../core/errors.ts';
import type { Verdict } from '../core/verdict.ts';
import { readAuditTrust, type TrustFlags } from './audit-trust.ts';
import { apiKeyOf, type GlobalOptions } from './session.ts';

export interface AuditFlags extends TrustFlags {
  readonly key?: string[];
  readonly state?: string;
  readonly mirror?: string;
  readonly save?: string;
  readonly against?: string;
}

/** The file in a mirror with the state of its audit. */
const STATE = 'state.json';

export async function auditView(
  flags: AuditFlags,
  globals: GlobalOptions,
  onProgress: (at: string, entries: number, total: number) => void,
): Promise<{ verdict: Verdict; entries: number; milliseconds: number }> {
  const [{ auditRemote }, { Keeper }, { MirrorState }, { parseVerifierKey }] = await Promise.all([
    import('../audit/remote/audit.ts'),
    import('../audit/remote/keeper.ts'),
    import('../audit/remote/state.ts'),
    import('../core/note.ts'),
  ]);
  const source =
    flags.mirror === undefined ? await openView(globals.url ?? '', apiKeyOf(globals)) : await openMirror(flags.mirror);
  const against = flags.against === undefined ? null : await openView(flags.against);
  try {
    const { headers, ...trust } = await readAuditTrust(flags);
    const keeper = flags.save === undefined ? null : await Keeper.open(flags.save);
    const file = flags.save === undefined ? flags.state : join(flags.save, STATE);
    const { verdict, result, walked } = await auditRemote({
      source,
      keeper,
      state: file === undefined ? new MirrorState(null) : await MirrorState.open(file),
      verifiers: (flags.key ?? []).map(parseVerifierKey),
      ...trust,
      bitcoin: headers,
      against,
      onProgress,
      clock: () => performance.now(),
    });
    return { verdict, entries: result.entries, milliseconds: walked };
  } finally {
    source.close();
    against?.close();
  }
}

/**
 * Opens a mirror or a public archive, as a folder or behind a web server. The service may have gone on since it was written.
 * @throws AntequemError `url-invalid`
 */
export async function openMirror(place: string): Promise<AuditSource> {
  const source = await openView(place);
  return {
    copy: true,
    describe: () => source.describe(),
    read: (path, most) => source.read(path, most),
    close: () => source.close(),
  };
}

/**
 * Opens a service, a web server with a mirror, or a folder with a mirror.
 * @param apiKey sent only to that host
 * @throws AntequemError `url-invalid`
 */
export async function openView(place: string, apiKey?: string): Promise<AuditSource> {
  const [{ HttpSource }, { FolderSource }] = await Promise.all([
    import('../audit/remote/http-source.ts'),
    import('../audit/remote/folder-source.ts'),
  ]);
  if (/^https?:/.test(place)) return new HttpSource({ url: place, apiKey });
  if (place.startsWith('file://')) return new FolderSource(fileURLToPath(place));
  if (place.startsWith('file:')) return new FolderSource(place.slice('file:'.length));
  if (!/^[a-z][a-z0-9+.-]+:\/\//i.test(place)) return new FolderSource(place);
  throw new AntequemError('url-invalid', `not a folder or an http URL: ${JSON.stringify(place)}`);
}
