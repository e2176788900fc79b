import { Command } from 'commander';
import type { Damage } from '../../anchor/recovery.ts';
import { toHex } from '../../core/bytes.ts';
import type { Loss } from '../../log/losses.ts';
import { counted, note, print, printJson } from '../output.ts';
import type { GlobalOptions } from '../session.ts';

/** Something is lost, and the operator has not accepted that. */
const LOST = 1;

/** `antequem recover`: shows what a database restored from an old copy has lost, and lets the operator accept the loss. */
export function recoverCommand(): Command {
  return new Command('recover')
    .option('--yes', 'record the loss in _system and accept the database as it is')
    .addHelpText(
      'after',
      `
Works on the database, with the environment of antequem serve. Stop every process of the service first, and start them
again afterwards.

A service whose database lacks what was published before, after a backup was restored or a replica took over, refuses to
append, to sign and to send: it would give other entries the places of those that were lost, under the same key. Before
you accept that, look for a newer copy of the database: with it nothing is lost.

Ends with 0 when nothing is lost or the loss was accepted, with 1 when something is.

Examples:
  $ antequem recover
  $ antequem recover --yes`,
    )
    .action(async (options: { yes?: true }, command: Command) => {
      const [
        { readConfig },
        { openFoundation, realEffects },
        { adopt, assessDamage },
        { openTargets, skippingLost },
        { pino },
        { RollbackState },
        { largestLosses },
      ] = await Promise.all([
        import('../../config.ts'),
        import('../../start/foundation.ts'),
        import('../../anchor/recovery.ts'),
        import('../../start/targets.ts'),
        import('pino'),
        import('../../log/rollback.ts'),
        import('../../log/losses.ts'),
      ]);
      const config = readConfig(process.env);
      const foundation = await openFoundation(config, realEffects, { compare: false });
      const { database, registry, appender, guard } = foundation;
      try {
        // Otherwise a target that meets the lost rounds later would stop then.
        const logger = pino({ level: 'warn' }, { write: (line: string) => note(messageOf(line)) });
        for (const target of await openTargets(config, foundation, { now: realEffects.now, logger })) {
          await target.compare(new RollbackState());
          target.close();
        }
        const damage = await assessDamage(database, guard);
        const losses = largestLosses(damage.losses);
        const lost = damage.losses.length + damage.targets.length > 0;
        if (lost && options.yes === true) {
          const skipLost = skippingLost(config, database);
          await adopt(damage, { database, registry, sequencing: appender.sequencing, guard, skipLost });
        } else if (lost) {
          process.exitCode = LOST;
        }
        const adopted = lost && options.yes === true;
        if (command.optsWithGlobals<GlobalOptions>().json === true)
          printJson({ ...viewOf({ ...damage, losses }), adopted });
        else tell({ ...damage, losses }, adopted, guard.store === null);
      } finally {
        await foundation.close();
      }
    });
}

function tell({ losses, targets }: Damage, adopted: boolean, blind: boolean): void {
  if (blind) note('no LOG_GUARD_FILE or REDIS_URL is set: only what was anchored can be compared');
  if (losses.length + targets.length === 0)
    return void print('nothing is lost: the database has everything that was published and answered');
  for (const loss of losses) print(`${loss.subject}: ${describe(loss)}`);
  for (const { name, reason } of targets) print(`${name}: ${reason}`);
  note('');
  if (adopted) note('This was recorded in _system. Start the processes of the service again.');
  else note('Bring a newer copy of the database back; or accept the loss: antequem recover --yes');
}

function describe({ subject, published, was, now }: Loss): string {
  const size = now?.size ?? 0;
  if (size >= published.size)
    return `the root at ${published.size} differs from the one that was ${was}: it was altered`;
  const missing = published.size - size;
  const what = subject.endsWith('#rounds') ? counted(missing, 'round', 'rounds') : counted(missing, 'entry', 'entries');
  return `at least ${what} lost, starting at ${size}; ${published.size} were ${was}`;
}

function viewOf({ losses, targets }: Damage): object {
  return {
    losses: losses.map(({ subject, published, was, now }) => ({
      subject,
      was,
      published: { size: published.size, root: toHex(published.root) },
      now: now === null ? null : { size: now.size, root: toHex(now.root) },
    })),
    targets,
  };
}

/** The message of a log line. */
function messageOf(line: string): string {
  const said: unknown = JSON.parse(line);
  return typeof said === 'object' && said !== null && 'msg' in said ? String(said.msg) : line;
}
