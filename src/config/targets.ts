// The EVM chains to anchor to and the accounts that pay: from a file of targets, or from variables for one target.

import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseUnits } from 'ethers';
import { z } from 'zod';
import { messageOf } from '../core/errors.ts';
import { chainHint } from '../evm/chain-hints.ts';
import type { KeySource } from '../evm/signer.ts';
import type { StoreEvery } from '../evm/storing.ts';
import { address, coins, duration, gwei, list, url, wholeNumber } from './settings.ts';

export interface EvmConfig {
  readonly name: string;
  readonly rpcUrls: readonly string[];
  readonly chainId: number;
  /** Null: the address the contract has on every chain. */
  readonly contract: string | null;
  /** Which rounds the contract stores; null: as the database has it, and one an hour where it does not know the target. */
  readonly storeEvery: StoreEvery | null;
  /** Null: none is configured; then no worker runs here. */
  readonly key: KeySource | null;
  /** Confirmations after which a block counts as final; null: the chain's `finalized` tag decides. */
  readonly confirmations: number | null;
  /** Wei per gas. */
  readonly maxFee: bigint;
  /** Wei per gas. */
  readonly maxPriorityFee: bigint;
  /** Wei in any 24 hours; null: no limit. */
  readonly dailyBudget: bigint | null;
  /** Milliseconds after which a transaction that was not mined is replaced with higher fees. */
  readonly replaceAfter: number;
  /** Balance in wei below which the operator is warned; null: the cost of the next hundred rounds. */
  readonly lowBalance: bigint | null;
  /** Whether it is a development chain, which may start again without its blocks. */
  readonly ephemeral: boolean;
}

const CHAIN_ID = 'not a chain id: a whole number from 1 on';
const MODE = 'not a mode: anchor or announce';
const STORE_EVERY = 'not a duration of at least a minute such as 1h, always or never';
const LEAST_STORE_EVERY_MS = 60_000;
const COUNT = 'not a whole number from 1 on';
const RPC_URLS = 'not a list of URLs with http:// or https://';
const KEY = 'not a key: write {"file": "…"} or {"keystore": "…", "passwordFile": "…"}';
const MAX_FEE = parseUnits('100', 'gwei');
const MAX_PRIORITY_FEE = parseUnits('3', 'gwei');
const REPLACE_AFTER = 180_000;

const storeEvery = z.union(
  [z.enum(['always', 'never']), duration.refine((ms) => ms >= LEAST_STORE_EVERY_MS, STORE_EVERY)],
  STORE_EVERY,
);

/** The environment variables for one target. */
export const evmVariables = {
  TARGETS_FILE: z
    .string()
    .min(1)
    .optional()
    .describe('Instead of all `EVM_…`: a JSON list of targets, for several chains at once; docs/operations.md.'),
  EVM_RPC_URLS: z
    .string()
    .transform(list)
    .pipe(z.array(url('http', 'https')).min(1, RPC_URLS))
    .optional()
    .describe('Nodes of the chain to anchor to, with commas; each is asked by itself.'),
  EVM_CHAIN_ID: wholeNumber(1, Number.MAX_SAFE_INTEGER, CHAIN_ID)
    .optional()
    .describe('The chain; no other is ever used.'),
  EVM_CONTRACT: address.optional().describe('The contract, where it is not at the address that it has on every chain.'),
  EVM_STORE_EVERY: storeEvery
    .optional()
    .describe(
      'Each round is announced by an event, and one in so much time is stored, so that the contract itself can verify entries: a duration, `always` (every round) or `never`. By default as before, and `1h` for a new target.',
    ),
  EVM_MODE: z
    .enum(['anchor', 'announce'], MODE)
    .optional()
    .describe('The older form: `anchor` is `EVM_STORE_EVERY=always`, `announce` is `never`.'),
  EVM_PRIVATE_KEY_FILE: z
    .string()
    .min(1)
    .optional()
    .describe('The key of the account that pays: 64 hex digits, with or without 0x.'),
  EVM_KEYSTORE_FILE: z.string().min(1).optional().describe('Instead of it a keystore (JSON, version 3).'),
  EVM_KEYSTORE_PASSWORD_FILE: z.string().min(1).optional().describe('The password of the keystore.'),
  EVM_CONFIRMATIONS: wholeNumber(1, Number.MAX_SAFE_INTEGER, COUNT)
    .optional()
    .describe('How deep a block is final, itself counted (1: the newest is), where the chain has no `finalized`.'),
  EVM_MAX_FEE_GWEI: gwei
    .optional()
    .describe('The most to pay per gas, in gwei; by default 100, or what docs/chains.md says for the chain.'),
  EVM_MAX_PRIORITY_FEE_GWEI: gwei
    .optional()
    .describe('The most of it as a tip, in gwei; by default 3, or what docs/chains.md says for the chain.'),
  EVM_DAILY_BUDGET: coins.optional().describe('The most to spend in any 24 hours, in the coin of the chain.'),
  EVM_REPLACE_AFTER: duration.default(REPLACE_AFTER).describe('When a transaction that is not mined is outbid.'),
  EVM_LOW_BALANCE: coins
    .optional()
    .describe(
      'The balance below which you are told, in the coin of the chain; by default what a hundred rounds may cost.',
    ),
};

type Variables = z.output<z.ZodObject<typeof evmVariables>>;
type Set = Readonly<Record<string, string | undefined>>;

/** Faults in settings that depend on each other. */
export function evmFaults(set: Set): string[] {
  const faults: string[] = [];
  const given = (...names: string[]): string[] => names.filter((name) => set[name] !== undefined);
  const short = given(...Object.keys(evmVariables).filter((name) => name !== 'TARGETS_FILE'));
  if (set.TARGETS_FILE !== undefined) {
    if (short.length > 0)
      faults.push(`TARGETS_FILE: cannot be set beside ${short.join(', ')}: write all targets there`);
    return faults;
  }
  if (set.EVM_RPC_URLS === undefined) {
    // Without this error nothing would be anchored, and it would go unnoticed.
    if (short.length > 0) faults.push(`EVM_RPC_URLS: must be set beside ${short.join(', ')}`);
    return faults;
  }
  if (set.EVM_CHAIN_ID === undefined) {
    faults.push('EVM_CHAIN_ID: must be set beside EVM_RPC_URLS; no other chain is ever used');
  }
  const keys = given('EVM_PRIVATE_KEY_FILE', 'EVM_KEYSTORE_FILE');
  if (keys.length === 0 && (set.ROLES === undefined || list(set.ROLES).includes('worker'))) {
    faults.push('EVM_PRIVATE_KEY_FILE: must be set beside EVM_RPC_URLS where a worker runs, or EVM_KEYSTORE_FILE');
  }
  if (keys.length === 2) faults.push('EVM_KEYSTORE_FILE: cannot be set beside EVM_PRIVATE_KEY_FILE');
  if (given('EVM_MODE', 'EVM_STORE_EVERY').length === 2) {
    faults.push('EVM_MODE: cannot be set beside EVM_STORE_EVERY, which says the same');
  }
  if ((set.EVM_KEYSTORE_FILE === undefined) !== (set.EVM_KEYSTORE_PASSWORD_FILE === undefined)) {
    faults.push('EVM_KEYSTORE_PASSWORD_FILE: must be set beside EVM_KEYSTORE_FILE, and nowhere else');
  }
  return faults;
}

/** The target that the variables describe, or none. */
export function targetOfVariables(data: Variables): EvmConfig[] {
  if (data.EVM_RPC_URLS === undefined || data.EVM_CHAIN_ID === undefined) return [];
  return [
    {
      name: `evm-${data.EVM_CHAIN_ID}`,
      rpcUrls: data.EVM_RPC_URLS,
      chainId: data.EVM_CHAIN_ID,
      contract: data.EVM_CONTRACT ?? null,
      storeEvery: data.EVM_STORE_EVERY ?? storeEveryOfMode(data.EVM_MODE),
      key: keyOfVariables(data),
      confirmations: data.EVM_CONFIRMATIONS ?? null,
      maxFee: data.EVM_MAX_FEE_GWEI ?? chainHint(data.EVM_CHAIN_ID).caps?.maxFee ?? MAX_FEE,
      maxPriorityFee: data.EVM_MAX_PRIORITY_FEE_GWEI ?? usualTipCap(data.EVM_CHAIN_ID),
      dailyBudget: data.EVM_DAILY_BUDGET ?? null,
      replaceAfter: data.EVM_REPLACE_AFTER,
      lowBalance: data.EVM_LOW_BALANCE ?? null,
      ephemeral: false,
    },
  ];
}

function storeEveryOfMode(mode: 'anchor' | 'announce' | undefined): StoreEvery | null {
  if (mode === undefined) return null;
  return mode === 'anchor' ? 'always' : 'never';
}

/** The default cap of tips. */
function usualTipCap(chainId: number): bigint {
  return chainHint(chainId).caps?.priorityFee ?? MAX_PRIORITY_FEE;
}

function keyOfVariables(data: Variables): KeySource | null {
  const { EVM_PRIVATE_KEY_FILE: file, EVM_KEYSTORE_FILE: keystore, EVM_KEYSTORE_PASSWORD_FILE: passwordFile } = data;
  if (file !== undefined) return { file };
  return keystore === undefined || passwordFile === undefined ? null : { keystore, passwordFile };
}

const path = z.string('not the name of a file').min(1, 'not the name of a file');
const whole = (what: string) => z.int(what).min(1, what);

const target = z
  .strictObject({
    name: z
      .string('not a name: [a-z][a-z0-9-]{0,39}')
      .regex(/^[a-z][a-z0-9-]{0,39}$/, 'not a name: [a-z][a-z0-9-]{0,39}'),
    chainId: whole(CHAIN_ID),
    rpcUrls: z.array(url('http', 'https'), RPC_URLS).min(1, RPC_URLS),
    contract: address.optional(),
    mode: z.enum(['anchor', 'announce'], MODE).optional(),
    storeEvery: storeEvery.optional(),
    key: z.union([z.strictObject({ file: path }), z.strictObject({ keystore: path, passwordFile: path })], KEY),
    confirmations: whole(COUNT).optional(),
    maxFeeGwei: gwei,
    maxPriorityFeeGwei: gwei.optional(),
    dailyBudget: coins,
    replaceAfter: duration,
    lowBalance: coins,
  })
  .refine(({ mode, storeEvery }) => mode === undefined || storeEvery === undefined, {
    path: ['mode'],
    message: 'cannot be set beside storeEvery, which says the same',
  });

/** The targets of a file, and everything that is wrong in it. */
export interface TargetsFile {
  readonly targets: readonly EvmConfig[];
  readonly faults: readonly string[];
}

/** Reads a list of targets. Paths in it are relative to its folder. Never throws. */
export function readTargetsFile(file: string): TargetsFile {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    const why = `cannot be read: ${messageOf(cause)}`;
    return { targets: [], faults: [`TARGETS_FILE: ${file} ${why}`] };
  }
  return parseTargets(text, file);
}

/** The targets in the text of such a file. Never throws. */
export function parseTargets(text: string, file: string): TargetsFile {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    const why = `is not JSON: ${messageOf(cause)}`;
    return { targets: [], faults: [`TARGETS_FILE: ${file} ${why}`] };
  }
  if (!Array.isArray(content) || content.length === 0) {
    return { targets: [], faults: [`TARGETS_FILE: ${file} is not a list of targets: [{"name": "main", …}]`] };
  }
  const read = content.map((each: unknown, i) => {
    const parsed = target.safeParse(each, { reportInput: true });
    const name = parsed.data?.name ?? nameIn(each);
    const label = name === null ? `target ${i + 1}` : `target ${i + 1} (${name})`;
    const faults = (parsed.error?.issues ?? []).flatMap((issue) => faultsOf(issue).map((says) => `${label}${says}`));
    return { name, label, faults, target: parsed.success ? configOf(parsed.data, dirname(resolve(file))) : null };
  });
  const faults = read.flatMap((one, i) => [...one.faults, ...read.slice(0, i).flatMap((other) => clash(other, one))]);
  return {
    targets: read.flatMap((one) => one.target ?? []),
    faults: faults.map((says) => `TARGETS_FILE: ${says}`),
  };
}

function nameIn(value: unknown): string | null {
  const name = typeof value === 'object' && value !== null && 'name' in value ? value.name : null;
  return typeof name === 'string' && name.length <= 40 ? name : null;
}

/** Without the values: URLs may hold keys. */
function faultsOf(issue: z.core.$ZodIssue): string[] {
  const where = issue.path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  const at = where === '' ? '' : `, ${where.slice(1)}`;
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => `${at}: there is no setting ${key}`);
  if (issue.input === undefined) return [`${at}: must be set`];
  if (where === '') return [': not a target: {"name": "main", …}'];
  return [`${at}: ${issue.message}`];
}

interface ReadTarget {
  readonly name: string | null;
  readonly label: string;
  readonly target: EvmConfig | null;
}

function clash(first: ReadTarget, second: ReadTarget): string[] {
  const faults: string[] = [];
  if (first.name !== null && first.name === second.name) {
    faults.push(`${second.label}, name: ${first.label} has it too`);
  }
  const [a, b] = [first.target, second.target];
  if (a !== null && b !== null && a.chainId === b.chainId && JSON.stringify(a.key) === JSON.stringify(b.key)) {
    faults.push(`${second.label}, key: ${first.label} on the same chain has it too, and nonces cannot be shared`);
  }
  return faults;
}

function configOf(data: z.output<typeof target>, folder: string): EvmConfig {
  const { maxFeeGwei, maxPriorityFeeGwei, contract, confirmations, key, mode, storeEvery, ...rest } = data;
  const near = (file: string): string => resolve(folder, file);
  return {
    ...rest,
    storeEvery: storeEvery ?? storeEveryOfMode(mode),
    contract: contract ?? null,
    confirmations: confirmations ?? null,
    key:
      'file' in key ? { file: near(key.file) } : { keystore: near(key.keystore), passwordFile: near(key.passwordFile) },
    maxFee: maxFeeGwei,
    maxPriorityFee: maxPriorityFeeGwei ?? usualTipCap(data.chainId),
    ephemeral: false,
  };
}
