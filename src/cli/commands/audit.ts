import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { AntequemError } from '../../core/errors.ts';
import { checkServiceOrigin } from '../../core/origin.ts';
import { exitCode, type Verdict } from '../../core/verdict.ts';
import { readAuditTrust, withTrust } from '../audit-trust.ts';
import type { AuditFlags } from '../mirror-audit.ts';
import { counted, note, print, printJson, toned } from '../output.ts';
import { Progress } from '../progress.ts';
import type { GlobalOptions } from '../session.ts';
import { claimLines, provenTime } from '../verdict-text.ts';

/** Limit for one query: counting the entries of a segment, or all leaves, takes long on a slow disk. */
const PATIENCE_MS = 3_600_000;

/** `antequem audit`: checks the whole database (for operators), or with `--url` or `--mirror` what a service publishes. */
export function auditCommand(): Command {
  const command = new Command('audit')
    .option('--mirror <dir|url>', MIRROR_HELP)
    .option('--save <dir>', 'save what was audited as a mirror, and continue from it the next time (antequem mirror)')
    .option(
      '--state <file>',
      'record how far the logs were read and continue from there; keep this file away from the database',
    );
  return withTrust(command)
    .addHelpText(
      'after',
      `
With --url URL or --mirror PLACE no database is needed, and only --key, --state and --rpc are trusted. An API key with the scope
read for all logs ($ANTEQUEM_API_KEY, --api-key-file) shows the rounds; without one, only logs with a --key are audited.

Otherwise DATABASE_URL and ORIGIN come from the environment. If LOG_SEED_FILE is set, the keys of all logs are compared with the
seed. Without the seed and without --key for _system, only the database confirms the keys.
Without --rpc, the audit cannot detect a log that was rebuilt with the seed: only the anchors show that.

${EXIT_CODES}

Examples:
  $ antequem audit --rpc https://eth.example.org
  $ antequem audit --rpc URL --state /var/lib/auditor/antequem.json
  $ antequem audit --url https://log.example.org --key "$VKEY" --rpc URL
  $ antequem audit --mirror https://archive.example.org --key "$VKEY" --rpc URL
  $ antequem audit --mirror mirror --against theirs`,
    )
    .action(audit);
}

/** What `--mirror` names. */
export const MIRROR_HELP =
  'a mirror or a public archive, as a folder or behind a web server; the service may have gone on since it was written';

export const EXIT_CODES =
  'Exit codes: 0 no faults, and a trusted node confirms the anchors; 1 a fault was found; 2 no faults, not proven; 3 could not run.';

/** Audits what the flags name, and prints the verdict. */
export async function audit(flags: AuditFlags, command: Command): Promise<void> {
  const globals = command.optsWithGlobals<GlobalOptions>();
  checkFlags(flags, globals);
  const progress = new Progress(null);
  const onProgress = (at: string, entries: number, total: number): void => progress.updateCount(at, entries, total);
  const remote = globals.url !== undefined || flags.mirror !== undefined;
  const { auditView } = await import('../mirror-audit.ts');
  const run = remote ? await auditView(flags, globals, onProgress) : await runAudit(flags, onProgress);
  progress.clear();
  process.exitCode = exitCode(run.verdict);
  if (globals.json === true) printJson(run.verdict);
  else print(auditText(run.verdict));
  const rate = counted(Math.round((run.entries * 1_000) / Math.max(1, run.milliseconds)), 'entry', 'entries');
  note(`${counted(run.entries, 'entry', 'entries')} in ${(run.milliseconds / 1_000).toFixed(1)} s, ${rate}/s`);
}

/** @throws AntequemError `arguments-invalid` */
function checkFlags({ mirror, save, against, state }: AuditFlags, { url }: GlobalOptions): void {
  const fault =
    mirror !== undefined && url !== undefined
      ? '--mirror and --url exclude each other: give only one'
      : mirror === undefined && url === undefined && [save, against].some((flag) => flag !== undefined)
        ? '--save and --against need --url or --mirror'
        : save !== undefined && mirror === save
          ? '--mirror and --save name the same folder'
          : save !== undefined && state !== undefined
            ? 'a mirror keeps its own state: omit --state'
            : null;
  if (fault !== null) throw new AntequemError('arguments-invalid', fault);
}

async function runAudit(
  flags: AuditFlags,
  onProgress: (at: string, entries: number, total: number) => void,
): Promise<{ verdict: Verdict; entries: number; milliseconds: number }> {
  const settings = await readSettings(process.env);
  // Loaded here because elliptic curves and the database client are slow to load.
  const [
    { auditDatabase },
    { AuditState },
    { openDatabase },
    { LogSeed },
    { parseVerifierKey },
    { KINDS },
    { demandMoved },
    { readArchive },
    { openArchives },
    { yieldToOthers },
  ] = await Promise.all([
    import('../../audit/database/audit.ts'),
    import('../../audit/database/state.ts'),
    import('../../store/database.ts'),
    import('../../log/seed.ts'),
    import('../../core/note.ts'),
    import('../../kinds.ts'),
    import('../../log/unmoved.ts'),
    import('../../config/archive.ts'),
    import('../../start/archives.ts'),
    import('../../start/priority.ts'),
  ]);
  // The service may run on the same machine.
  yieldToOthers();
  const trust = await readAuditTrust(flags);
  const state = flags.state === undefined ? null : await AuditState.open(flags.state, settings.origin);
  const archives = openArchives(readArchive(process.env));
  const database = openDatabase(settings.databaseUrl, {
    connections: 1,
    name: 'antequem audit',
    patience: PATIENCE_MS,
  });
  try {
    await demandMoved(database);
    const { verdict, result, walked } = await auditDatabase({
      database,
      origin: settings.origin,
      seed: settings.seed === null ? null : LogSeed.parse(settings.seed),
      verifiers: (flags.key ?? []).map(parseVerifierKey),
      kinds: KINDS,
      archive: archives.blocks,
      tiles: archives.tiles,
      ...trust,
      state,
      onProgress: ({ at, entries, total }) => onProgress(at, entries, total),
      clock: () => performance.now(),
      random: randomBytes,
    });
    return { verdict, entries: result.entries, milliseconds: walked };
  } finally {
    await database.end();
  }
}

interface Settings {
  readonly databaseUrl: string;
  readonly origin: string;
  /** Null if LOG_SEED_FILE is not set. */
  readonly seed: string | null;
}

/** Reads only the settings that an audit needs, so that it runs on machines without a service. @throws AntequemError `config-invalid` */
async function readSettings(env: NodeJS.ProcessEnv): Promise<Settings> {
  const { DATABASE_URL = '', ORIGIN = '', LOG_SEED_FILE = '' } = env;
  const faults: string[] = [];
  if (!/^postgres(ql)?:\/\//.test(DATABASE_URL)) faults.push('DATABASE_URL: not a postgres:// URL');
  try {
    checkServiceOrigin(ORIGIN);
  } catch {
    faults.push('ORIGIN: not a service origin, such as log.example.org');
  }
  if (faults.length > 0) {
    throw new AntequemError('config-invalid', `settings that an audit needs are missing:\n  ${faults.join('\n  ')}`);
  }
  return { databaseUrl: DATABASE_URL, origin: ORIGIN, seed: await readSeed(LOG_SEED_FILE) };
}

async function readSeed(file: string): Promise<string | null> {
  if (file === '') return null;
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new AntequemError('secret-missing', `LOG_SEED_FILE ${file} cannot be read; unset it to audit without it`, {
      cause,
    });
  }
}

function auditText(verdict: Verdict): string {
  const first = verdict.claims.find(({ status }) => status === 'refuted');
  const { result, existedBefore } = verdict;
  const headline =
    result === 'refuted'
      ? toned('bad', `refuted: ${first?.says ?? 'something is wrong'}`)
      : result === 'proven'
        ? toned(
            'good',
            `proven: no faults, and unchanged since before ${existedBefore === null ? 'an unknown time' : provenTime(existedBefore)}`,
          )
        : toned('open', 'unproven: no faults, but no trusted node of a chain confirms that nothing was rewritten');
  return [headline, '', ...claimLines(verdict)].join('\n');
}
