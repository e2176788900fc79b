import { Command } from 'commander';
import { AntequemError } from '../../core/errors.ts';
import { formatTime } from '../../core/time.ts';
import { demandYes } from '../confirmation.ts';
import { withDatabase } from '../database.ts';
import { logName, wholeNumberArgument } from '../options.ts';
import { note, print, printJson } from '../output.ts';
import { type GlobalOptions, openSession } from '../session.ts';

interface EraseFlags {
  readonly yes?: true;
  readonly scrub?: true;
}

/** `antequem erase`: deletes an entry's payload, digest and nonce. Its commitment stays in the log. */
export function eraseCommand(): Command {
  return new Command('erase')
    .argument('[log]', 'name of the log', logName)
    .argument('[index]', 'index of the entry, from 0', wholeNumberArgument(0, Number.MAX_SAFE_INTEGER))
    .option('--yes', 'erase without asking')
    .option('--scrub', 'instead: write the stored entries anew, so that no file of the database holds what was erased')
    .addHelpText(
      'after',
      `
The tree stays whole, and receipts handed out before still verify; new ones cannot be made. That and when it was erased is
an entry of _system. PostgreSQL drops the bytes at the next vacuum and leaves them in its files as free space. With --scrub
the table of stored entries is written anew, in the database of DATABASE_URL, while the service runs: this takes as much
disk space again, and time in proportion. It goes on where it was when it is broken off and called again. Write-ahead log,
replicas and backups keep what was erased for as long as you keep those.

Examples:
  $ antequem erase demo 12
  $ antequem erase demo 12 --yes
  $ antequem erase --scrub`,
    )
    .action(async (log: string | undefined, index: number | undefined, flags: EraseFlags, command: Command) => {
      if (flags.scrub === true) {
        if (log !== undefined) throw new AntequemError('arguments-invalid', '--scrub is for all logs: name none');
        return scrub(command);
      }
      if (log === undefined || index === undefined) {
        throw new AntequemError('arguments-invalid', 'name the log and the index of the entry, or give --scrub');
      }
      const { yes } = flags;
      const { client, json } = openSession(command);
      if (yes !== true) await demandYes(`Erase entry ${index} of ${log} permanently?`, 'nothing was erased');
      const erased = await client.erase(log, index);
      if (json) return printJson(erased);
      print(`erased entry ${index} of ${log}`);
      if (erased.lockedUntil !== undefined) {
        note(`a copy in the archive is locked until ${erased.lockedUntil}; its key is destroyed, so it cannot be read`);
        note('backups of the database from before may still hold that key: delete them as soon as you may');
      }
      note('a receipt fetched earlier still verifies together with the content');
    });
}

async function scrub(command: Command): Promise<void> {
  const [{ rewriteBlocks }, { demandMoved }, { Progress }] = await Promise.all([
    import('../../log/blocks/block-rewrite.ts'),
    import('../../log/unmoved.ts'),
    import('../progress.ts'),
  ]);
  const progress = new Progress(null);
  const { begunAt, checkpoint } = await withDatabase(async (database) => {
    await demandMoved(database);
    return rewriteBlocks(database, {
      onProgress: ({ done, total }) => progress.updateCount('copied', done, total),
      onWaiting: (says) => {
        progress.clear();
        note(says);
      },
    });
  });
  progress.clear();
  const before = formatTime(begunAt);
  if (command.optsWithGlobals<GlobalOptions>().json === true) return printJson({ erasedBefore: before, checkpoint });
  print(`no file of the database holds what was erased before ${before}`);
  if (!checkpoint) {
    note('the role may not make a checkpoint: the old files are deleted at the next one, within checkpoint_timeout');
  }
  note('write-ahead log, replicas and backups keep it for as long as you keep those');
}
