import { createInterface } from 'node:readline/promises';
import { Command } from 'commander';
import { AntequemError } from '../../core/errors.ts';
import { logName, wholeNumberArgument } from '../options.ts';
import { note, print, printJson } from '../output.ts';
import { openSession } from '../session.ts';

/** `antequem erase`: deletes an entry's payload, digest and nonce. Its commitment stays in the log. */
export function eraseCommand(): Command {
  return new Command('erase')
    .argument('<log>', 'name of the log', logName)
    .argument('<index>', 'index of the entry, from 0', wholeNumberArgument(0, Number.MAX_SAFE_INTEGER))
    .option('--yes', 'erase without asking')
    .addHelpText(
      'after',
      `
The tree stays whole, and receipts handed out before still verify; new ones cannot be made. That and when it was erased is
an entry of _system. PostgreSQL drops the bytes at the next vacuum, backups keep them for as long as you keep those.

Examples:
  $ antequem erase demo 12
  $ antequem erase demo 12 --yes`,
    )
    .action(async (log: string, index: number, { yes }: { yes?: true }, command: Command) => {
      const { client, json } = openSession(command);
      if (yes !== true) await confirm(`Erase entry ${index} of ${log} permanently?`);
      const erased = await client.erase(log, index);
      if (json) return printJson(erased);
      print(`erased entry ${index} of ${log}`);
      note('a receipt fetched earlier still verifies together with the content');
    });
}

/** Asks the person at the terminal. @throws AntequemError `not-confirmed` if the answer is not yes, or nobody can answer */
async function confirm(question: string): Promise<void> {
  if (!process.stdin.isTTY) {
    throw new AntequemError('not-confirmed', `${question} Nobody can answer here: repeat the command with --yes`);
  }
  const asked = createInterface({ input: process.stdin, output: process.stderr });
  // Ctrl-C and Ctrl-D end the question without an answer, and without a newline.
  const answer = await asked.question(`${question} [y/N] `).catch(() => {
    process.stderr.write('\n');
    return '';
  });
  asked.close();
  if (!/^y(?:es)?$/i.test(answer.trim())) throw new AntequemError('not-confirmed', 'nothing was erased');
}
