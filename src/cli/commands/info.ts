import { Command } from 'commander';
import { rpcOrder } from '../../core/bitcoin-header.ts';
import { toHex } from '../../core/bytes.ts';
import { describeOtsFile } from '../../ots/description.ts';
import type { OtsFile } from '../../ots/file.ts';
import { type Line, timestampLines } from '../../ots/line.ts';
import { opText } from '../../ots/operation.ts';
import { print, printJson } from '../output.ts';
import { readOtsFile } from '../proof-file.ts';
import type { GlobalOptions } from '../session.ts';

/** `antequem info`: prints what an .ots file contains. It works offline and verifies nothing. */
export function infoCommand(): Command {
  return new Command('info')
    .argument('<file.ots>', 'the .ots file, from any source; - is standard input')
    .addHelpText(
      'after',
      `
Examples:
  $ antequem info document.pdf.ots
  $ antequem info document.pdf.ots --json | jq '.attestations[] | select(.kind == "bitcoin").height'`,
    )
    .action(async (file: string, _flags: object, command: Command) => {
      const ots = await readOtsFile(file);
      if (command.optsWithGlobals<GlobalOptions>().json === true) printJson(factsOf(ots));
      else print(describeOtsFile(ots));
    });
}

function factsOf({ hash, timestamp }: OtsFile): object {
  return { hash, digest: toHex(timestamp.message), attestations: [...timestampLines(timestamp)].map(attestationFacts) };
}

function attestationFacts({ ops, message, attestation }: Line): object {
  const { kind } = attestation;
  const way = { message: toHex(message), operations: ops.map(opText) };
  switch (kind) {
    case 'pending':
      return { kind, uri: attestation.uri, ...way };
    case 'unknown':
      return { kind, tag: toHex(attestation.tag), payload: toHex(attestation.payload), ...way };
    case 'bitcoin':
      return { kind, height: attestation.height, merkleRoot: rpcOrder(message), ...way };
    default:
      return { kind, height: attestation.height, ...way };
  }
}
