import { Command, InvalidArgumentError } from 'commander';
import type { Hold, NewHold } from '../../client/client.ts';
import { parsed } from '../../core/errors.ts';
import { formatTime, isTime, parseRfc3339 } from '../../core/time.ts';
import { demandYes } from '../confirmation.ts';
import { logName } from '../options.ts';
import { counted, note, print, printJson, toned } from '../output.ts';
import { openSession } from '../session.ts';

const DAY_MS = 86_400_000;

/** `antequem hold`: legal holds, which keep entries from being erased. */
export function holdCommand(): Command {
  return new Command('hold')
    .addCommand(addCommand())
    .addCommand(listCommand())
    .addCommand(removeCommand())
    .addCommand(confirmCommand())
    .addHelpText(
      'after',
      `
Nothing erases what is under a hold: no request, and no retention. Holds are kept in the database and beside it (in
LOG_GUARD_FILE, else in Redis), so that a database restored from a backup does not release them. After antequem recover
nothing at all is erased until the holds are confirmed. docs/retention.md.

Examples:
  $ antequem hold add payments --from 2025-01-01 --to 2025-12-31 --reason "case 4711"
  $ antequem hold add payments --reason "everything, until further notice"
  $ antequem hold list
  $ antequem hold remove payments hold_0123456789abcdef0123456789abcdef
  $ antequem hold confirm`,
    );
}

function addCommand(): Command {
  return new Command('add')
    .description('keep entries of a log, by when they were received')
    .argument('<log>', 'name of the log', logName)
    .option(
      '--from <time>',
      'entries received from then on: a day, 2026-01-31, or a time (default: from the first)',
      from,
    )
    .option(
      '--to <time>',
      'entries received before this time, or up to the end of this day (default: all that come)',
      to,
    )
    .requiredOption('--reason <text>', 'why, in one line; readers of the log see it')
    .action(async (log: string, options: NewHold, command: Command) => {
      const { client, json } = openSession(command);
      const added = await client.addHold(log, options);
      if (json) return printJson(added);
      tell(added);
      if (added.inStore === null) {
        note('no LOG_GUARD_FILE or REDIS_URL is set: a database restored from a backup made before now releases it');
      }
    });
}

function listCommand(): Command {
  return new Command('list')
    .description('list the holds of a log, or of all')
    .argument('[log]', 'name of the log', logName)
    .action(async (log: string | undefined, _: object, command: Command) => {
      const { client, json } = openSession(command);
      const answer = await client.holds(log);
      if (json) return printJson(answer);
      if (answer.holds.length === 0) note('there is no hold');
      for (const each of answer.holds) tell(each);
      if (answer.unconfirmedSince !== null) {
        note(
          `nothing is erased since ${answer.unconfirmedSince}, when the database was set back: antequem hold confirm`,
        );
      }
    });
}

function removeCommand(): Command {
  return new Command('remove')
    .description('remove a hold; what it kept and is older than its log keeps it is erased by the next run')
    .argument('<log>', 'name of the log', logName)
    .argument('<id>', 'the id that `hold list` shows')
    .action(async (log: string, id: string, _: object, command: Command) => {
      const { client, json } = openSession(command);
      await client.removeHold(log, id);
      if (json) return printJson({ id, removed: true });
      print(`removed ${id}`);
    });
}

function confirmCommand(): Command {
  return new Command('confirm')
    .description('after `antequem recover`: confirm that the holds listed are all there are, so that erasing goes on')
    .option('--yes', 'confirm without asking')
    .action(async ({ yes }: { yes?: true }, command: Command) => {
      const { client, json } = openSession(command);
      const { holds: list, unconfirmedSince } = await client.holds();
      if (!json) for (const each of list) tell(each);
      if (yes !== true) {
        const what = counted(list.length, 'hold', 'holds');
        await demandYes(
          `Are there no holds but these (${what}), and does each log keep its entries as long as it should?`,
          'nothing was confirmed',
        );
      }
      const answer = await client.confirmHolds(list.map(({ id }) => id));
      if (json) return printJson(answer);
      const after = unconfirmedSince === null ? 'it was not stopped' : 'erasing goes on';
      print(`confirmed ${counted(answer.holds.length, 'hold', 'holds')}: ${after}`);
    });
}

function tell({ id, log, from, to, reason, addedAt, inDatabase, inStore }: Hold): void {
  const name = log.slice(log.lastIndexOf('/') + 1);
  print(`${id}  ${name}  ${from ?? 'the first'} to ${to ?? 'all that come'}  ${reason}`);
  print(`  added ${addedAt}`);
  if (!inDatabase) print(`  ${toned('bad', 'the database has lost it: it holds, and hold confirm puts it back')}`);
  if (inStore === false)
    print(`  ${toned('open', 'the store beside the database lacks it: the worker puts it there')}`);
}

function from(text: string): string {
  return timeArgument(text, 0);
}

function to(text: string): string {
  return timeArgument(text, DAY_MS);
}

/** @param shift milliseconds that a day alone is shifted by */
function timeArgument(text: string, shift: number): string {
  const whole = `${text}T00:00:00.000Z`;
  if (isTime(whole)) return formatTime(Date.parse(whole) + shift);
  if (parsed(() => parseRfc3339(text)) !== null) return text;
  throw new InvalidArgumentError(
    'Expected a day such as 2026-01-31, in UTC, or a time such as 2026-01-31T12:00:00Z or 2026-01-31T12:00:00+01:00.',
  );
}
