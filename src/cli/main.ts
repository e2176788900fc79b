// The command line: runs a command and sets the exit code.

import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { COMMANDS } from './commands.ts';
import { failureLine } from './failure.ts';
import { DEFAULT_URL } from './options.ts';
import { endQuietlyOnClosedPipe, note } from './output.ts';

/** Commands whose exit codes 0 to 2 are answers. If they cannot run, they exit with another code. */
const ANSWERING = new Set(['verify', 'audit', 'recover']);
const FAILED = 1;
const COULD_NOT_RUN = 3;

/** Runs one command line and sets `process.exitCode`. */
export async function main(argv: readonly string[]): Promise<void> {
  endQuietlyOnClosedPipe();
  let running = '';
  try {
    const program = await programFor(argv.slice(2), version());
    program.hook('preSubcommand', (_, command) => {
      running = command.name();
    });
    await program.parseAsync([...argv]);
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return;
    // Commander has already printed its own errors.
    if (!(error instanceof CommanderError)) note(`error: ${failureLine(error)}`);
    process.exitCode = ANSWERING.has(running) ? COULD_NOT_RUN : FAILED;
  }
}

/** The program with all its commands. Only the command that `args` names is loaded. */
export async function programFor(args: readonly string[], version: string): Promise<Command> {
  const program = new Command('antequem')
    .description('Proof of time for log entries: append them, get receipts, and prove them to anyone.')
    .version(version)
    // Options before the command belong to the program, because a command may have an option of the same name.
    .enablePositionalOptions()
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .showHelpAfterError('run it with --help to see its arguments and options')
    .exitOverride()
    .addHelpText(
      'after',
      `
Examples:
  $ antequem append demo /var/log/dpkg.log       every line is an entry
  $ antequem receipt demo 0 --wait 60 -o r.json  the proof for entry 0
  $ antequem verify FILE r.json --rpc URL        exit 0: proven, 1: refuted, 2: unproven, 3: could not run
  $ antequem append app app.log --follow         as the file grows, over rotation and restarts`,
    );
  withGlobalOptions(program);
  const [first, second] = program.parseOptions([...args]).operands;
  const chosen = first === 'help' ? second : first;
  for (const { name, summary, load } of COMMANDS) {
    const command = name === chosen ? await load() : new Command(name);
    program.addCommand(inherit(command.description(summary), program));
  }
  return program;
}

/** The options of every command; they may be anywhere on the line. */
function withGlobalOptions(command: Command): void {
  const has = (flag: string): boolean => command.options.some(({ long }) => long === flag);
  if (!has('--json')) {
    command.option(
      '--json',
      'print one JSON document, or NDJSON for a stream, on standard output and all other text on standard error',
    );
  }
  if (!has('--url')) {
    command.option(
      '--url <url>',
      `the service (default: $ANTEQUEM_URL, else .antequem/endpoints.json in this folder or one above, else ${DEFAULT_URL})`,
    );
  }
  if (!has('--api-key-file')) {
    command.option('--api-key-file <file>', 'file with the API key (default: the key itself in $ANTEQUEM_API_KEY)');
  }
}

function inherit(command: Command, parent: Command): Command {
  command.copyInheritedSettings(parent);
  withGlobalOptions(command);
  for (const sub of command.commands) inherit(sub, command);
  return command;
}

/** The package's version. The path is the same from src/cli and dist/cli. */
function version(): string {
  const parsed: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const found = typeof parsed === 'object' && parsed !== null && 'version' in parsed ? parsed.version : undefined;
  return typeof found === 'string' ? found : 'unknown';
}
