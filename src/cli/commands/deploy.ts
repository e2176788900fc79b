import { readFile } from 'node:fs/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { JsonRpcProvider } from 'ethers';
import { duration } from '../../config/settings.ts';
import { AntequemError } from '../../core/errors.ts';

interface DeployFlags {
  readonly rpc: string;
  readonly keyFile?: string;
  readonly dryRun?: true;
  readonly ordinary?: true;
  readonly roundInterval: number;
  readonly json?: true;
}

/** `antequem deploy`: deploys the contract to a chain, or estimates the cost of anchoring there. */
export function deployCommand(): Command {
  return new Command('deploy')
    .requiredOption('--rpc <url>', 'JSON-RPC endpoint of the chain')
    .option('--key-file <file>', 'file with the private key that pays (64 hex digits, with or without 0x)')
    .option('--dry-run', 'send nothing, print the estimated cost of the deployment and of the rounds')
    .option(
      '--ordinary',
      'deploy without the deployment proxy, to an address of this chain alone: for chains where the proxy cannot be created',
    )
    .addOption(
      new Option('--round-interval <time>', 'time between rounds, such as 60s or 5m, to estimate the cost of a month')
        .argParser(parseInterval)
        .default(60_000, '60s'),
    )
    .option('--json', 'print the result as JSON, amounts in wei')
    .addHelpText(
      'after',
      `
Examples:
  $ antequem deploy --rpc https://eth.example.org --dry-run --round-interval 5m
  $ antequem deploy --rpc https://eth.example.org --key-file evm-key`,
    )
    .action(async (flags: DeployFlags) => {
      const [{ Wallet }, { deployAnchor, formatDeployResult }] = await Promise.all([
        import('ethers'),
        import('../../evm/deploy.ts'),
      ]);
      const key = flags.keyFile === undefined ? undefined : await readKey(flags.keyFile);
      const provider = await connect(flags.rpc);
      try {
        const signer = key === undefined ? {} : { signer: new Wallet(key, provider) };
        const dryRun = flags.dryRun === true;
        const result = await deployAnchor({
          provider,
          ...signer,
          dryRun,
          ordinary: flags.ordinary === true,
          roundIntervalMs: flags.roundInterval,
        });
        process.stdout.write(
          flags.json
            ? `${JSON.stringify(result, (_, value) => (typeof value === 'bigint' ? value.toString() : value))}\n`
            : `${formatDeployResult(result)}\n`,
        );
      } finally {
        provider.destroy();
      }
    });
}

/** The same format as `ROUND_INTERVAL`. */
function parseInterval(text: string): number {
  const ms = duration.safeParse(text);
  if (!ms.success) throw new InvalidArgumentError('write a whole number and a unit: 500ms, 60s, 5m or 24h');
  return ms.data;
}

/** No error message contains the key. */
async function readKey(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new AntequemError('key-file-unreadable', `cannot read the key file ${file}: check the path and its rights`, {
      cause,
    });
  });
  const key = text.trim();
  const { Wallet } = await import('ethers');
  try {
    if (/^(?:0x)?[0-9a-fA-F]{64}$/.test(key)) return new Wallet(key).privateKey;
  } catch {
    // Zero or beyond the curve's order: the error below covers it.
  }
  throw new AntequemError(
    'key-invalid',
    `${file} does not hold a private key: 64 hex digits, with or without 0x, and nothing else`,
  );
}

/** Asks for the chain id first: ethers would otherwise retry a dead endpoint without end. */
async function connect(url: string): Promise<JsonRpcProvider> {
  const { FetchRequest, JsonRpcProvider } = await import('ethers');
  let chainId: number;
  try {
    const request = new FetchRequest(url);
    request.timeout = 10_000;
    request.body = { jsonrpc: '2.0', id: 1, method: 'eth_chainId', params: [] };
    const response = await request.send();
    response.assertOk();
    chainId = Number(response.bodyJson.result);
    if (!Number.isSafeInteger(chainId) || chainId <= 0) throw new Error('its answer to eth_chainId is not a number');
  } catch (cause) {
    const { rejectionReason } = await import('../../evm/rejection.ts');
    // The cause is left out: ethers puts the whole URL, with its secrets, into it.
    throw new AntequemError(
      'rpc-unreachable',
      `no node of a chain answers at ${redact(url)} (${rejectionReason(cause)}): check --rpc`,
    );
  }
  return new JsonRpcProvider(url, chainId, { staticNetwork: true, cacheTimeout: -1, pollingInterval: 500 });
}

/** Endpoints carry access keys in path, query or user name, so only the origin is printed. */
function redact(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : 'an endpoint that is not a URL';
}
