import { Command } from 'commander';
import { prefixedHex, toHex } from '../../core/bytes.ts';
import { packPath } from '../../core/path.ts';
import { storedReceiptPath } from '../../core/receipt.ts';
import { print, printJson } from '../output.ts';
import { readReceiptFile } from '../proof-file.ts';
import type { GlobalOptions } from '../session.ts';

/** `antequem path`: prints the arguments of the contract's `existedBefore`. Works offline. */
export function pathCommand(): Command {
  return new Command('path')
    .argument('<receipt>', 'file of the receipt; - is standard input')
    .addHelpText(
      'after',
      `
Examples:
  $ antequem path r.json
  $ cast call $CONTRACT "$(antequem path r.json --json | jq -r .calldata)"`,
    )
    .action(async (file: string, _flags: object, command: Command) => {
      // Loaded here because the binding loads all of ethers, which would slow down every other command.
      const { encodeExistedBefore } = await import('../../evm/anchor-contract.ts');
      const { digest, steps, root } = storedReceiptPath(await readReceiptFile(file));
      const packed = packPath(steps);
      const answer = {
        digest: toHex(digest),
        path: prefixedHex(packed),
        root: toHex(root),
        calldata: encodeExistedBefore(digest, packed),
      };
      if (command.optsWithGlobals<GlobalOptions>().json === true) return printJson(answer);
      for (const [name, value] of Object.entries(answer)) print(`${name.padEnd(9)} ${value}`);
    });
}
