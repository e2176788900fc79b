import { Command } from 'commander';
import { utf8 } from '../../core/bytes.ts';
import { AntequemError } from '../../core/errors.ts';
import { exitCode } from '../../core/verdict.ts';
import { readContent } from '../digest.ts';
import { blockHash, digest, httpUrl, repeated } from '../options.ts';
import { note, print, printJson } from '../output.ts';
import { readReceiptText } from '../receipt-file.ts';
import type { GlobalOptions } from '../session.ts';
import { advice, verdictText } from '../verdict-text.ts';

interface VerifyFlags {
  readonly line?: string;
  readonly digest?: Uint8Array;
  readonly key?: string;
  readonly rpc?: string[];
  readonly blockHash?: string[];
}

/** `antequem verify`: what a receipt proves, by one's own trust. The service is not asked. */
export function verifyCommand(): Command {
  return new Command('verify')
    .description('check a receipt against what it is about and against sources you trust; the service is not asked')
    .argument('<file...>', 'FILE RECEIPT; RECEIPT alone with --line or --digest. FILE may be -')
    .usage('[options] <file> <receipt>')
    .option('--line <text>', 'the payload, as text, in place of FILE')
    .option('--digest <hex>', 'the SHA-256 of the payload, in place of FILE', digest)
    .option('--key <vkey>', "the log's verifier key, got from someone you trust: proves whose log it is")
    .option('--rpc <url>', 'a node of the chain that you trust; may be repeated', repeated(httpUrl))
    .option(
      '--block-hash <0x…>',
      'hash of a block you know to be final: with the proof in the receipt no node is needed; may be repeated',
      repeated(blockHash),
    )
    .addHelpText(
      'after',
      `
Exit codes: 0 proven against a trusted source, 1 refuted, 2 consistent but not proven, 3 could not run.

Examples:
  $ antequem verify contract.pdf contract.pdf.receipt.json --rpc https://eth.example.org
  $ sed -n 13p app.log | tr -d '\\n' | antequem verify - r.json --key "$VKEY" --rpc URL
  $ antequem verify r.json --line 'the thirteenth line' --block-hash 0x…`,
    )
    .action(async (files: string[], flags: VerifyFlags, command: Command) => {
      const { file, receipt } = inputs(files, flags);
      const { verifyReceipt } = await import('../../verify/verify.ts');
      const sources = flags.rpc ?? [];
      // ethers is slow to load, and needed for nodes alone.
      const { rpcSource } = sources.length === 0 ? { rpcSource: null } : await import('../../evm/rpc-source.ts');
      const verdict = await verifyReceipt(
        { receipt: json(await readReceiptText(receipt), receipt), ...(await content(file, flags)) },
        {
          ...(flags.key === undefined ? {} : { key: flags.key }),
          evm: rpcSource === null ? [] : sources.map((url) => rpcSource(url)),
          blockHashes: flags.blockHash ?? [],
          now: Date.now(),
        },
      );
      process.exitCode = exitCode(verdict);
      if (command.optsWithGlobals<GlobalOptions>().json === true) return printJson(verdict);
      print(verdictText(verdict));
      const next = advice(verdict);
      if (next !== null) note(next);
    });
}

function inputs(files: readonly string[], flags: VerifyFlags): { file: string | null; receipt: string } {
  const [first = '', second, third] = files;
  const given = [flags.line, flags.digest].filter((value) => value !== undefined).length;
  if (given === 1 && second === undefined) return { file: null, receipt: first };
  if (given === 0 && second !== undefined && third === undefined) {
    if (first !== '-' || second !== '-') return { file: first, receipt: second };
  }
  throw new AntequemError(
    'arguments-invalid',
    'name FILE and RECEIPT, or RECEIPT alone with one of --line and --digest',
  );
}

async function content(
  file: string | null,
  flags: VerifyFlags,
): Promise<{ payload: Uint8Array } | { digest: Uint8Array }> {
  if (flags.line !== undefined) return { payload: utf8(flags.line) };
  if (flags.digest !== undefined) return { digest: flags.digest };
  const { payload, digest: hash } = await readContent(file ?? '-');
  return payload === null ? { digest: hash } : { payload };
}

function json(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AntequemError('receipt-invalid', `${file} is not a receipt: it is not JSON`, { cause });
  }
}
