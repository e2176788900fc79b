// The command line: which commands there are, and how a failure ends.

import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { anchorsCommand } from './commands/anchors.ts';
import { appendCommand } from './commands/append.ts';
import { auditCommand } from './commands/audit.ts';
import { deployCommand } from './commands/deploy.ts';
import { eraseCommand } from './commands/erase.ts';
import { exportCommand } from './commands/export.ts';
import { infoCommand } from './commands/info.ts';
import { keysCommand } from './commands/keys.ts';
import { logsCommand } from './commands/logs.ts';
import { pathCommand } from './commands/path.ts';
import { receiptCommand } from './commands/receipt.ts';
import { recoverCommand } from './commands/recover.ts';
import { serveCommand } from './commands/serve.ts';
import { stampCommand } from './commands/stamp.ts';
import { upgradeCommand } from './commands/upgrade.ts';
import { verifyCommand } from './commands/verify.ts';
import { webhooksCommand } from './commands/webhooks.ts';
import { failureLine } from './failure.ts';
import { endQuietlyOnClosedPipe, note } from './output.ts';
import { DEFAULT_URL } from './session.ts';

const COMMANDS = [
  serveCommand,
  appendCommand,
  stampCommand,
  receiptCommand,
  upgradeCommand,
  exportCommand,
  pathCommand,
  verifyCommand,
  infoCommand,
  auditCommand,
  eraseCommand,
  keysCommand,
  logsCommand,
  anchorsCommand,
  webhooksCommand,
  deployCommand,
  recoverCommand,
];

/** Commands whose codes 0 to 2 are answers: that they could not run is told apart from them. */
const ANSWERING = new Set(['verify', 'audit', 'recover']);
const FAILED = 1;
const COULD_NOT_RUN = 3;

/** Runs one command line. `process.exitCode` bears how it went. */
export async function main(argv: readonly string[]): Promise<void> {
  endQuietlyOnClosedPipe();
  const program = programOf(version());
  let running = '';
  program.hook('preSubcommand', (_, command) => {
    running = command.name();
  });
  try {
    await program.parseAsync([...argv]);
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return;
    // Commander has told its own errors already.
    if (!(error instanceof CommanderError)) note(`error: ${failureLine(error)}`);
    process.exitCode = ANSWERING.has(running) ? COULD_NOT_RUN : FAILED;
  }
}

/** All commands, not yet run. */
export function programOf(version: string): Command {
  const program = new Command('antequem')
    .description('Proof of time for log entries: append them, get receipts, and prove them to anyone.')
    .version(version)
    // Options before a command are the program's: a command may have one of the same name.
    .enablePositionalOptions()
    .showHelpAfterError('run it with --help to see what it takes')
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
  for (const command of COMMANDS) program.addCommand(inherit(command(), program));
  return program;
}

/** The options every command knows, wherever on the line they stand. */
function withGlobalOptions(command: Command): void {
  const has = (flag: string): boolean => command.options.some(({ long }) => long === flag);
  if (!has('--json')) {
    command.option('--json', 'one JSON document on standard output, NDJSON for a stream; the rest on standard error');
  }
  if (!has('--url')) {
    command.option(
      '--url <url>',
      `the service (default: $ANTEQUEM_URL, else .antequem/endpoints.json from here upwards, else ${DEFAULT_URL})`,
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

/** Of the package this file is in: src/cli and dist/cli are equally deep. */
function version(): string {
  const parsed: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const found = typeof parsed === 'object' && parsed !== null && 'version' in parsed ? parsed.version : undefined;
  return typeof found === 'string' ? found : 'unknown';
}
