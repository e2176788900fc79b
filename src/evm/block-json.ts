// Headers, transactions and receipts as nodes tell them in JSON, back in the bytes that the chain hashed.

import * as z from 'zod/mini';
import { concat, fromHex } from '../core/bytes.ts';
import { encodeRlp, type Rlp } from '../core/rlp.ts';

const data = z.pipe(
  z.string().check(z.regex(/^0x(?:[0-9a-fA-F]{2})*$/)),
  z.transform((text): Rlp => fromHex(text.slice(2).toLowerCase())),
);
/** A number in RLP: big-endian, without leading zeros. */
const quantity = z.pipe(
  z.string().check(z.regex(/^0x[0-9a-fA-F]{1,64}$/)),
  z.transform((text): Rlp => {
    const digits = text.slice(2).toLowerCase().replace(/^0+/, '');
    return fromHex(digits.length % 2 === 0 ? digits : `0${digits}`);
  }),
);
/** Of an account that may be none. */
const optionalData = z.pipe(
  z.nullish(data),
  z.transform((bytes): Rlp => bytes ?? new Uint8Array(0)),
);
const hex = z.pipe(
  z.string().check(z.regex(/^0x[0-9a-fA-F]*$/)),
  z.transform((text) => text.toLowerCase()),
);
const type = z.pipe(
  z.optional(z.string().check(z.regex(/^0x[0-9a-fA-F]{1,2}$/))),
  z.transform((text) => (text === undefined ? 0 : Number(text))),
);

const header = z.object({
  parentHash: data,
  sha3Uncles: data,
  miner: data,
  stateRoot: data,
  transactionsRoot: data,
  receiptsRoot: data,
  logsBloom: data,
  difficulty: quantity,
  number: quantity,
  gasLimit: quantity,
  gasUsed: quantity,
  timestamp: quantity,
  extraData: data,
  mixHash: data,
  nonce: data,
  // Added one after the other: London, Shanghai, Cancun (three), Prague.
  baseFeePerGas: z.nullish(quantity),
  withdrawalsRoot: z.nullish(data),
  blobGasUsed: z.nullish(quantity),
  excessBlobGas: z.nullish(quantity),
  parentBeaconBlockRoot: z.nullish(data),
  requestsHash: z.nullish(data),
});

/** The header in RLP, as far as its fields are known here; its hash tells whether that is all of them. Null: not told. */
export function encodeHeader(json: unknown): Uint8Array | null {
  const parsed = header.safeParse(json, { jitless: true });
  if (!parsed.success) return null;
  const fields = parsed.data;
  return encodeRlp(
    [
      fields.parentHash,
      fields.sha3Uncles,
      fields.miner,
      fields.stateRoot,
      fields.transactionsRoot,
      fields.receiptsRoot,
      fields.logsBloom,
      fields.difficulty,
      fields.number,
      fields.gasLimit,
      fields.gasUsed,
      fields.timestamp,
      fields.extraData,
      fields.mixHash,
      fields.nonce,
      fields.baseFeePerGas,
      fields.withdrawalsRoot,
      fields.blobGasUsed,
      fields.excessBlobGas,
      fields.parentBeaconBlockRoot,
      fields.requestsHash,
    ].flatMap((field) => (field == null ? [] : [field])),
  );
}

/** What of a block's JSON says which transactions it holds. */
export const blockJson = z.looseObject({
  hash: hex,
  transactions: z.array(z.looseObject({ hash: hex })),
});

const accessList = z.pipe(
  z.array(z.object({ address: data, storageKeys: z.array(data) })),
  z.transform((list): Rlp => list.map(({ address, storageKeys }) => [address, storageKeys])),
);
const authorizationList = z.pipe(
  z.array(z.object({ chainId: quantity, address: data, nonce: quantity, yParity: quantity, r: quantity, s: quantity })),
  z.transform(
    (list): Rlp => list.map(({ chainId, address, nonce, yParity, r, s }) => [chainId, address, nonce, yParity, r, s]),
  ),
);
const common = {
  nonce: quantity,
  gas: quantity,
  to: optionalData,
  value: quantity,
  input: data,
  r: quantity,
  s: quantity,
};
const signed = { ...common, chainId: quantity, accessList, yParity: z.optional(quantity), v: z.optional(quantity) };
const feeMarket = { ...signed, maxPriorityFeePerGas: quantity, maxFeePerGas: quantity };
const legacyJson = z.object({ ...common, gasPrice: quantity, v: quantity });
const accessListJson = z.object({ ...signed, gasPrice: quantity });
const feeMarketJson = z.object(feeMarket);
const blobJson = z.object({ ...feeMarket, maxFeePerBlobGas: quantity, blobVersionedHashes: z.array(data) });
const setCodeJson = z.object({ ...feeMarket, authorizationList });

/** The transaction as its block's trie has it (EIPs 2718, 2930, 1559, 4844, 7702); null where JSON does not suffice. */
export function encodeTransaction(json: unknown): Uint8Array | null {
  const kind = z.looseObject({ type }).safeParse(json, { jitless: true });
  if (!kind.success) return null;
  const fields = fieldsOf(kind.data.type, json);
  return fields === null ? null : typed(kind.data.type, fields);
}

function fieldsOf(kind: number, json: unknown): Rlp[] | null {
  const options = { jitless: true };
  try {
    switch (kind) {
      case 0: {
        const t = legacyJson.parse(json, options);
        return [t.nonce, t.gasPrice, t.gas, t.to, t.value, t.input, t.v, t.r, t.s];
      }
      case 1: {
        const t = accessListJson.parse(json, options);
        return [t.chainId, t.nonce, t.gasPrice, t.gas, t.to, t.value, t.input, t.accessList, ...signature(t)];
      }
      case 2: {
        const t = feeMarketJson.parse(json, options);
        return [...feeMarketFields(t), ...signature(t)];
      }
      case 3: {
        const t = blobJson.parse(json, options);
        return [...feeMarketFields(t), t.maxFeePerBlobGas, t.blobVersionedHashes, ...signature(t)];
      }
      case 4: {
        const t = setCodeJson.parse(json, options);
        return [...feeMarketFields(t), t.authorizationList, ...signature(t)];
      }
      default:
        return null;
    }
  } catch (error) {
    if (error instanceof z.core.$ZodError) return null;
    throw error;
  }
}

type FeeMarket = z.infer<typeof feeMarketJson>;

function feeMarketFields(t: FeeMarket): Rlp[] {
  const { chainId, nonce, maxPriorityFeePerGas, maxFeePerGas, gas, to, value, input } = t;
  return [chainId, nonce, maxPriorityFeePerGas, maxFeePerGas, gas, to, value, input, t.accessList];
}

function signature({ yParity, v, r, s }: Pick<FeeMarket, 'yParity' | 'v' | 'r' | 's'>): Rlp[] {
  return [yParity ?? v ?? new Uint8Array(0), r, s];
}

const receiptJson = z.object({
  type,
  status: z.nullish(quantity),
  // Before Byzantium.
  root: z.nullish(data),
  cumulativeGasUsed: quantity,
  logsBloom: data,
  logs: z.array(z.object({ address: data, topics: z.array(data), data })),
});

/** What of a receipt's JSON says whose it is. */
export const receiptOwnerJson = z.looseObject({ transactionHash: hex, blockHash: hex });

/** The receipt as its block's trie has it, an unknown type's in the common form; null where JSON does not suffice. */
export function encodeReceipt(json: unknown): Uint8Array | null {
  const parsed = receiptJson.safeParse(json, { jitless: true });
  if (!parsed.success) return null;
  const { type: kind, status, root, cumulativeGasUsed, logsBloom, logs } = parsed.data;
  const outcome = status ?? root;
  if (outcome == null) return null;
  const rlpLogs = logs.map((log): Rlp => [log.address, log.topics, log.data]);
  return typed(kind, [outcome, cumulativeGasUsed, logsBloom, rlpLogs]);
}

function typed(kind: number, fields: Rlp[]): Uint8Array {
  const bytes = encodeRlp(fields);
  return kind === 0 ? bytes : concat(Uint8Array.of(kind), bytes);
}
