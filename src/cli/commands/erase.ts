import { Command } from 'commander';
import { logName, wholeNumberArgument } from '../options.ts';
import { note, print, printJson } from '../output.ts';
import { openSession } from '../session.ts';

/** `antequem erase`: deletes an entry's payload, digest and nonce. Its commitment stays in the log. */
export function eraseCommand(): Command {
  return new Command('erase')
    .argument('<log>', 'name of the log', logName)
    .argument('<index>', 'index of the entry, from 0', wholeNumberArgument(0, Number.MAX_SAFE_INTEGER))
    .addHelpText(
      'after',
      `
The tree stays whole, and receipts handed out before still verify; new ones cannot be made. That and when it was erased is
an entry of _system. PostgreSQL drops the bytes at the next vacuum, backups keep them for as long as you keep those.

Examples:
  $ antequem erase demo 12`,
    )
    .action(async (log: string, index: number, _: object, command: Command) => {
      const { client, json } = openSession(command);
      const erased = await client.erase(log, index);
      if (json) return printJson(erased);
      print(`erased entry ${index} of ${log}`);
      note('a receipt fetched earlier still verifies together with the content');
    });
}
