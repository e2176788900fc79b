import { Command, InvalidArgumentError } from 'commander';
import type { Retention } from '../../client/client.ts';
import { messageOf } from '../../core/errors.ts';
import { parsePeriod } from '../../core/period.ts';
import { logName } from '../options.ts';
import { counted, note, print, printJson } from '../output.ts';
import { openSession } from '../session.ts';

/** `antequem retention`: how long a log keeps payload, digest and nonce of its entries. */
export function retentionCommand(): Command {
  return new Command('retention')
    .addCommand(setCommand())
    .addCommand(showCommand())
    .addCommand(clearCommand())
    .addHelpText(
      'after',
      `
The worker looks for entries that are older every RETENTION_INTERVAL, and erases payload, digest and nonce in bulk. One
entry of _system names what a run erases. The tree stays whole, and receipts handed out before still verify. A legal hold
(antequem hold) keeps entries nevertheless. docs/retention.md.

Examples:
  $ antequem retention set payments 400d
  $ antequem retention show payments
  $ antequem retention clear payments`,
    );
}

function setCommand(): Command {
  return new Command('set')
    .description('erase entries once they are older than this; what is erased cannot be brought back')
    .argument('<log>', 'name of the log', logName)
    .argument('<period>', 'how long entries are kept, such as 400d, 36h or 90m', periodArgument)
    .action(async (log: string, period: string, _: object, command: Command) => {
      const { client, json } = openSession(command);
      tell(await client.setRetention(log, period), log, json);
    });
}

function showCommand(): Command {
  return new Command('show')
    .description('show how long entries are kept, and what was erased and is due')
    .argument('<log>', 'name of the log', logName)
    .action(async (log: string, _: object, command: Command) => {
      const { client, json } = openSession(command);
      tell(await client.retention(log), log, json);
    });
}

function clearCommand(): Command {
  return new Command('clear')
    .description('keep entries for ever')
    .argument('<log>', 'name of the log', logName)
    .action(async (log: string, _: object, command: Command) => {
      const { client, json } = openSession(command);
      tell(await client.clearRetention(log), log, json);
    });
}

function tell(answer: Retention, log: string, json: boolean): void {
  if (json) {
    printJson(answer);
    return;
  }
  const { period, setAt, erased, open, dueSince, unconfirmedSince } = answer;
  print(
    period === null ? `${log} keeps its entries for ever` : `${log} keeps its entries for ${period}, since ${setAt}`,
  );
  print(`erased: ${counted(erased, 'entry', 'entries')}`);
  if (open > 0) print(`named in _system and erased next: ${counted(open, 'entry', 'entries')}`);
  if (dueSince !== null) print(`due since ${dueSince}`);
  if (unconfirmedSince !== null) {
    note(`nothing is erased since ${unconfirmedSince}, when the database was set back: antequem hold confirm`);
  }
}

function periodArgument(text: string): string {
  try {
    parsePeriod(text);
  } catch (error) {
    throw new InvalidArgumentError(messageOf(error));
  }
  return text;
}
