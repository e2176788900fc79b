import { Command } from 'commander';
import * as z from 'zod/mini';
import type { HeaderSource } from '../../core/bitcoin-source.ts';
import { fromHex, HASH_HEX, utf8 } from '../../core/bytes.ts';
import { parseCheckpoint } from '../../core/checkpoint.ts';
import { AntequemError, FormatError, parsed } from '../../core/errors.ts';
import type { EvmSource } from '../../core/evm-source.ts';
import { parseNote } from '../../core/note.ts';
import { parsePolicy } from '../../core/policy.ts';
import { parseReceiptText } from '../../core/receipt.ts';
import { isTlogProof } from '../../core/tlog-proof.ts';
import { exitCode, type Verdict } from '../../core/verdict.ts';
import { parseOtsFile } from '../../ots/file.ts';
import type { HashKind } from '../../ots/operation.ts';
import type { GivenTree } from '../../verify/cose-receipt.ts';
import type { TokenAnswer } from '../../verify/token.ts';
import type { Trust } from '../../verify/trust.ts';
import { readAtMost } from '../bounded-file.ts';
import { type ContentHash, readContent } from '../digest.ts';
import {
  blockHash,
  CONFIRMATIONS_HELP,
  confirmations,
  fileDigestOption,
  httpUrl,
  repeated,
  TSA_CA_HELP,
} from '../options.ts';
import { note, print, printJson } from '../output.ts';
import { proofBeside } from '../proof-beside.ts';
import { MAX_RECEIPT_BYTES, type ProofFile, readProofFile, readProofOf } from '../proof-file.ts';
import { type GlobalOptions, openSession } from '../session.ts';
import { advice, verdictText } from '../verdict-text.ts';
import { writeWhole } from '../whole-file.ts';

const MAX_POLICY = 262_144;

interface VerifyFlags {
  readonly line?: string;
  readonly digest?: Uint8Array;
  readonly key?: string;
  readonly rpc?: string[];
  readonly confirmations?: number;
  readonly bitcoin?: string[];
  readonly blockHash?: string[];
  readonly policy?: string;
  readonly tsaCa?: string[];
  readonly logged?: string;
  readonly older?: string;
  readonly newer?: string;
  readonly saveLogged?: string;
  readonly many?: boolean;
}

/** `antequem verify`: what a receipt or an .ots file proves, by the sources the user trusts. The service is not asked. */
export function verifyCommand(): Command {
  return new Command('verify')
    .argument(
      '<file...>',
      'FILE RECEIPT, FILE FILE.ots, FILE FILE.tlog-proof, FILE FILE.cose or FILE FILE.tsr; FILE alone if FILE.receipt.json or FILE.ots is beside it; ' +
        'only the proof with --line or --digest. FILE may be -',
    )
    .usage('[options] <file> [receipt|file.ots|file.tlog-proof|file.cose|file.tsr]')
    .option('--line <text>', 'the payload as text, instead of FILE')
    .option(
      '--digest <hex>',
      'the digest of the payload, instead of FILE: SHA-256, or the hash that FILE.ots names',
      fileDigestOption,
    )
    .option(
      '--key <vkey>',
      "the log's verifier key, obtained from someone you trust: proves the log's identity; for a COSE receipt its coseKey",
    )
    .option('--rpc <url>', 'a node of the EVM chain that you trust; may be repeated', repeated(httpUrl))
    .option('--confirmations <n>', CONFIRMATIONS_HELP, confirmations)
    .option(
      '--bitcoin <url>',
      'a Bitcoin node (JSON-RPC, user and password in the URL) or an Esplora server that you trust; several must all agree',
      repeated(httpUrl),
    )
    .option(
      '--block-hash <hash>',
      'hash of a block that you know is final (with 0x for EVM chains, without for Bitcoin): replaces a node if the receipt has a proof; for an .ots file the header of the block; may be repeated',
      repeated(blockHash),
    )
    .option(
      '--policy <file>',
      'file with the keys of logs and witnesses you trust, and how many witnesses must have cosigned (C2SP tlog-policy)',
    )
    .option(
      '--tsa-ca <file>',
      TSA_CA_HELP,
      repeated((text) => text),
    )
    .option(
      '--older <tree>',
      'of a COSE receipt of consistency: the root of the older tree (64 hex digits), or a file: a COSE receipt of an entry in it, or its checkpoint',
    )
    .option('--newer <tree>', 'the same of the newer tree; the signed root alone is enough')
    .option(
      '--logged <file>',
      'of a timestamp token: what the service of its authority said of it, as --save-logged or GET /v1/tsa/DIGEST gave it',
    )
    .option('--save-logged <file>', 'of a timestamp token: ask the service that --url names, and save what it says')
    .option('--many', 'RECEIPTS: one receipt a line; or LINES RECEIPTS: also the content of each receipt, one a line')
    .addHelpText(
      'after',
      `
The service is not asked, except that --url with a timestamp token asks whether the service's authority logged it. Exit codes: 0 proven against a trusted source, 1 refuted, 2 consistent but not proven, 3 could
not run.

Examples:
  $ antequem verify contract.pdf --rpc https://eth.example.org
  $ antequem verify contract.pdf contract.pdf.receipt.json --rpc https://eth.example.org
  $ antequem verify contract.pdf contract.pdf.receipt.json --tsa-ca authority.pem
  $ sed -n 13p app.log | tr -d '\\n' | antequem verify - r.json --key "$VKEY" --rpc URL
  $ antequem verify r.json --line 'the thirteenth line' --block-hash 0x…
  $ antequem verify contract.pdf contract.pdf.ots --bitcoin "http://$(cat ~/.bitcoin/.cookie)@127.0.0.1:8332"
  $ antequem verify contract.pdf contract.pdf.ots --bitcoin https://blockstream.info/api
  $ antequem verify contract.pdf contract.pdf.tsr --tsa-ca authority.pem --url https://log.example.org
  $ antequem verify consistency.cose --older old.cose --newer new.cose --key "$COSE_KEY"
  $ antequem verify --many app.log receipts.ndjson --key "$VKEY" --block-hash 0x…`,
    )
    .action(async (files: string[], flags: VerifyFlags, command: Command) => {
      const json = command.optsWithGlobals<GlobalOptions>().json === true;
      if (flags.many === true) {
        const [receipts = '', content = null, more] = files.toReversed();
        if (more !== undefined || flags.line !== undefined || flags.digest !== undefined) {
          throw new AntequemError(
            'arguments-invalid',
            'with --many give RECEIPTS, or LINES and RECEIPTS, and neither --line nor --digest',
          );
        }
        const { verifyMany } = await import('../verify-many.ts');
        process.exitCode = await verifyMany({ receipts, content, trust: await trustOf(flags), json });
        return;
      }
      const given = await inputs(files, flags);
      const { proof, name, file } =
        given.file === null
          ? { proof: await readProofFile(given.proof), name: given.proof, file: null }
          : await readProofOf(given.file, given.proof);
      if (file !== given.file) note(`${name} is the proof and ${file} the content: taken the other way around`);
      const trust = await trustOf(flags);
      const verdict = await verdictOn(proof, name, file, flags, trust, command);
      process.exitCode = exitCode(verdict);
      if (json) return printJson(verdict);
      print(verdictText(verdict));
      for (const next of advice(verdict)) note(next);
    });
}

async function inputs(files: readonly string[], flags: VerifyFlags): Promise<Inputs> {
  const [first = '', second, third] = files;
  const given = [flags.line, flags.digest].filter((value) => value !== undefined).length;
  if ((given === 1 || flags.older !== undefined) && second === undefined) return { file: null, proof: first };
  if (given === 0 && second === undefined && first !== '-') {
    const found = await proofBeside(first);
    note(`verifying ${found.file} with ${found.proof}`);
    return found;
  }
  if (given === 0 && second !== undefined && third === undefined) {
    if (first !== '-' || second !== '-') return { file: first, proof: second };
  }
  throw new AntequemError(
    'arguments-invalid',
    'give FILE and RECEIPT or FILE.ots, or only the second with --line or --digest',
  );
}

interface Inputs {
  readonly file: string | null;
  readonly proof: string;
}

async function trustOf(flags: VerifyFlags): Promise<Trust> {
  return {
    ...(flags.key === undefined ? {} : { key: flags.key }),
    evm: flags.rpc === undefined ? [] : await evmSources(flags.rpc, flags.confirmations ?? null),
    bitcoin: flags.bitcoin === undefined ? [] : await bitcoinSources(flags.bitcoin),
    blockHashes: flags.blockHash ?? [],
    authorities: flags.tsaCa === undefined ? [] : await authorityFiles(flags.tsaCa),
    ...(flags.policy === undefined ? {} : { policy: parsePolicy(await readAtMost(flags.policy, MAX_POLICY)) }),
    now: Date.now(),
  };
}

async function evmSources(urls: readonly string[], confirmations: number | null): Promise<EvmSource[]> {
  const { rpcSource } = await import('../../evm/rpc-source.ts');
  return urls.map((url) => rpcSource(url, { confirmations }));
}

async function authorityFiles(files: readonly string[]): Promise<Uint8Array[]> {
  const { readAuthorityFile } = await import('../authority-file.ts');
  return Promise.all(files.map(readAuthorityFile));
}

async function bitcoinSources(urls: readonly string[]): Promise<HeaderSource[]> {
  const { agreedSources } = await import('../bitcoin-sources.ts');
  return agreedSources(urls, note);
}

async function verdictOn(
  proof: ProofFile,
  name: string,
  file: string | null,
  flags: VerifyFlags,
  trust: Trust,
  command: Command,
): Promise<Verdict> {
  if (proof.kind === 'token') return tokenVerdict(proof.bytes, file, flags, trust, command);
  if (flags.logged !== undefined || flags.saveLogged !== undefined) {
    throw new AntequemError('arguments-invalid', '--logged and --save-logged are for timestamp tokens');
  }
  if (proof.kind === 'receipt') {
    if (isTlogProof(proof.text)) {
      const { verifyTlogProof } = await import('../../verify/tlog-proof.ts');
      return verifyTlogProof({ proof: proof.text, ...(await content(file, flags, 'sha256')) }, trust);
    }
    const input = { receipt: proof.text, ...(await content(file, flags, 'sha256')) };
    const { verifyReceipt } = await import('../../verify/receipt.ts');
    return verifyReceipt(input, trust).catch((cause: unknown) => {
      if (!(cause instanceof FormatError) || cause.code !== 'receipt-invalid') throw cause;
      const says = `${name} is not a receipt, an .ots file, a tlog-proof, a COSE receipt or a timestamp token`;
      throw new AntequemError('receipt-invalid', says, { cause });
    });
  }
  if (proof.kind === 'cose') {
    const { verifyCoseReceipt } = await import('../../verify/cose-receipt.ts');
    if (flags.older === undefined) {
      return verifyCoseReceipt({ cose: proof.bytes, ...(await content(file, flags, 'sha256')) }, trust);
    }
    const older = await givenTree(flags.older);
    const newer = flags.newer === undefined ? undefined : await givenTree(flags.newer);
    return verifyCoseReceipt({ cose: proof.bytes, trees: { older, newer } }, trust);
  }
  const { verifyTimestamp } = await import('../../verify/timestamp.ts');
  return verifyTimestamp({ ots: proof.bytes, ...(await content(file, flags, hashOf(proof.bytes))) }, trust);
}

/** A root, a COSE receipt, or the tree of a checkpoint, by itself or in a receipt. */
async function givenTree(text: string): Promise<GivenTree> {
  if (HASH_HEX.test(text)) return { root: fromHex(text), size: null };
  const proof = await readProofFile(text);
  if (proof.kind === 'cose') return { receipt: proof.bytes };
  if (proof.kind === 'receipt') {
    const note = parsed(() => parseReceiptText(proof.text))?.checkpoint ?? proof.text;
    const head = parsed(() => parseCheckpoint(parseNote(note).text));
    if (head !== null) return { root: head.root, size: head.size };
  }
  throw new AntequemError(
    'arguments-invalid',
    `${text} has no root: give 64 hex digits, a COSE receipt or a checkpoint`,
  );
}

async function tokenVerdict(
  token: Uint8Array,
  file: string | null,
  flags: VerifyFlags,
  trust: Trust,
  command: Command,
): Promise<Verdict> {
  const [{ verifyToken }, { tokenFacts }] = await Promise.all([
    import('../../verify/token.ts'),
    import('../../tsa/own-token.ts'),
  ]);
  const { hash, digest } = tokenFacts(token);
  const logged = await loggedAnswer(digest, flags, command);
  return verifyToken({ token, ...logged, ...(await content(file, flags, hash)) }, trust);
}

/** What the service of a token's authority says of it: asked of the service that was named, or saved before. */
async function loggedAnswer(
  digest: string,
  { logged, saveLogged }: VerifyFlags,
  command: Command,
): Promise<{ logged?: TokenAnswer }> {
  const { url } = command.optsWithGlobals<GlobalOptions>();
  if ((logged === undefined) === (url === undefined)) {
    if (logged === undefined && saveLogged === undefined) return {};
    throw new AntequemError(
      'arguments-invalid',
      'give --logged FILE, or --url of the service, which --save-logged needs',
    );
  }
  if (logged !== undefined) {
    const bytes = await readAtMost(logged, MAX_RECEIPT_BYTES);
    return { logged: { text: new TextDecoder().decode(bytes), asked: false } };
  }
  const { client } = openSession(command);
  const answer = await client.call(z.unknown(), 'GET', `/v1/tsa/${digest}`);
  const text = JSON.stringify(answer);
  if (saveLogged !== undefined) await writeWhole(saveLogged, `${text}\n`, true);
  return { logged: { text, asked: true } };
}

/** The hash that an .ots file names. For an unreadable file any hash will do: the verifier reports the fault. */
function hashOf(ots: Uint8Array): HashKind {
  try {
    return parseOtsFile(ots).hash;
  } catch {
    return 'sha256';
  }
}

async function content(
  file: string | null,
  flags: VerifyFlags,
  hash: ContentHash,
): Promise<{ payload: Uint8Array } | { digest: Uint8Array }> {
  if (flags.line !== undefined) return { payload: utf8(flags.line) };
  if (flags.digest !== undefined) return { digest: flags.digest };
  const { payload, digest } = await readContent(file ?? '-', { hash });
  return payload === null ? { digest } : { payload };
}
