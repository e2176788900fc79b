import { Command } from 'commander';
import { AntequemError } from '../../core/errors.ts';
import { withTrust } from '../audit-trust.ts';
import type { AuditFlags } from '../mirror-audit.ts';
import type { GlobalOptions } from '../session.ts';
import { audit, EXIT_CODES, MIRROR_HELP } from './audit.ts';

/** `antequem mirror`: audits what a service or a public archive publishes, and saves it. */
export function mirrorCommand(): Command {
  const command = new Command('mirror')
    .argument('<dir>', 'the folder with the mirror; it is made if it does not exist')
    .option('--mirror <dir|url>', `instead of --url: ${MIRROR_HELP}`);
  return withTrust(command)
    .addHelpText(
      'after',
      `
Saves what was audited and continues from it the next time. A web server can serve the folder in place of the service. It has no
payloads. An API key with the scope read for all logs is needed for a service, and none for an archive; the archive must have the
leaves of rounds (ARCHIVE_PUBLISH_ROUNDS=on).

${EXIT_CODES}

Examples:
  $ antequem mirror copy --url https://log.example.org --key "$VKEY" --rpc URL
  $ antequem mirror copy --mirror https://archive.example.org --key "$VKEY" --rpc URL
  $ antequem audit --mirror copy --key "$VKEY" --rpc URL`,
    )
    .action(async (dir: string, flags: AuditFlags, command: Command) => {
      if (command.optsWithGlobals<GlobalOptions>().url === undefined && flags.mirror === undefined) {
        throw new AntequemError('arguments-invalid', 'nothing to copy: give --url or --mirror');
      }
      await audit({ ...flags, save: dir }, command);
    });
}
