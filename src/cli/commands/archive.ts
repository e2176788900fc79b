import { Command } from 'commander';
import type { ArchivePass } from '../../archive/passes.ts';
import type { ArchiveVerification } from '../../archive/verification.ts';
import { AntequemError } from '../../core/errors.ts';
import { formatTime } from '../../core/time.ts';
import { withDatabase } from '../database.ts';
import { counted, note, print, printJson, toned } from '../output.ts';
import type { GlobalOptions } from '../session.ts';

/** The exit code while an archive is not up to date, or where something in it is wrong. */
const FAULTY = 1;

/** `antequem archive`: what is archived, and whether it is still what it was. Works on the database. */
export function archiveCommand(): Command {
  return new Command('archive')
    .action(status)
    .addCommand(new Command('status').description('show how far entries are archived').action(status))
    .addCommand(
      new Command('verify')
        .description('fetch everything from the archives and compare it with the database; needs the settings of both')
        .option('--repair', 'write what is faulty in one bucket again, out of the other that holds the same')
        .action(verify),
    )
    .addHelpText(
      'after',
      `
Both work on the database of DATABASE_URL. \`verify\` takes ARCHIVE_URL, ARCHIVE_PRIVATE_URL and the AWS_* variables as the
service does, reads every archived object once out of each bucket, and writes nothing without --repair. The exit code is 1 while an archive is not up to
date, or where an object is gone or is not what was written.

Examples:
  $ antequem archive status
  $ antequem archive verify
  $ antequem archive verify --repair`,
    );
}

async function status(_: object, command: Command): Promise<void> {
  const { readPasses, readArchived } = await import('../../archive/passes.ts');
  const { passes, archived } = await withDatabase(async (database) => ({
    passes: await readPasses(database),
    archived: await readArchived(database),
  }));
  if (passes.some(({ problem }) => problem !== null)) process.exitCode = FAULTY;
  if (isJson(command)) return printJson({ archives: passes.map(view), ...archived });
  if (passes.length === 0) note('nothing is archived yet: set ARCHIVE_URL or ARCHIVE_PRIVATE_URL for the worker');
  for (const pass of passes) print(lineOf(pass));
  print(`tiles in the public archive alone: ${archived.tiles.toLocaleString('en')}`);
  print(
    `blocks in the private archive: ${archived.blocks.toLocaleString('en')}, ${archived.bytes.toLocaleString('en')} bytes`,
  );
  if (archived.leftovers > 0) print(`objects that wait to be deleted: ${archived.leftovers.toLocaleString('en')}`);
}

function lineOf({ archive, round, passedAt, problem }: ArchivePass): string {
  const passed = passedAt === null ? 'never complete' : `complete at ${formatTime(passedAt)}`;
  const shows = archive === 'public' ? `, shows rounds up to ${round}` : '';
  const state =
    problem === null
      ? toned('good', 'up to date')
      : toned('bad', `failing since ${formatTime(problem.since)}: ${problem.says} (${problem.code})`);
  return `${archive}: ${state}; ${passed}${shows}`;
}

function view({ archive, round, passedAt, problem }: ArchivePass): object {
  return {
    archive,
    ...(archive === 'public' ? { round } : {}),
    passedAt: passedAt === null ? null : formatTime(passedAt),
    problem: problem === null ? null : { ...problem, since: formatTime(problem.since) },
  };
}

async function verify({ repair }: { readonly repair?: true }, command: Command): Promise<void> {
  const [{ lockAt, readArchive }, { Bucket }, { verifyBlocks, verifyPublished }, { openArchives }] = await Promise.all([
    import('../../config/archive.ts'),
    import('../../archive/bucket.ts'),
    import('../../archive/verification.ts'),
    import('../../start/archives.ts'),
  ]);
  const config = readArchive(process.env);
  if (config === null) {
    throw new AntequemError('archive-missing', 'no archive is configured: set ARCHIVE_URL or ARCHIVE_PRIVATE_URL');
  }
  const [open, closed] = [config.publicBuckets, config.privateBuckets].map((all) =>
    all.map((each) => new Bucket(each)),
  );
  const repairing = repair === true ? { lock: () => lockAt(config, Date.now()), now: Date.now } : null;
  const found = await withDatabase(async (database) => ({
    public: open?.length ? await verifyPublished(database, open, repairing, openArchives(config).blocks) : null,
    private: closed?.length ? await verifyBlocks(database, closed, repairing) : null,
  }));
  const results = Object.entries(found).filter((pair): pair is [string, ArchiveVerification] => pair[1] !== null);
  if (results.some(([, { faulty, repaired }]) => faulty > repaired)) process.exitCode = FAULTY;
  if (isJson(command)) return printJson(found);
  for (const [archive, { objects, faults, faulty, repaired }] of results) {
    const verdict =
      faulty === 0
        ? toned('good', 'all as written')
        : toned('bad', `${faulty.toLocaleString('en')} faulty, ${repaired.toLocaleString('en')} repaired`);
    print(`${archive}: ${counted(objects, 'object', 'objects')} compared, ${verdict}`);
    for (const { code, says } of faults) print(`  ${says} (${code})`);
  }
}

const isJson = (command: Command): boolean => command.optsWithGlobals<GlobalOptions>().json === true;
