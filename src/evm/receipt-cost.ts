// What a transaction cost, as its receipt says.

import * as z from 'zod/mini';

const wei = z.nullish(
  z.pipe(
    z.string().check(z.regex(/^0x[0-9a-fA-F]{1,64}$/)),
    z.transform((text) => BigInt(text)),
  ),
);

/** Members of a receipt. */
export const costForms = {
  gasUsed: wei,
  effectiveGasPrice: wei,
  // What the OP stack and its kin take for publishing data, and for their operator (Isthmus, Jovian).
  l1Fee: wei,
  operatorFeeScalar: wei,
  operatorFeeConstant: wei,
  daFootprintGasScalar: wei,
};

type ToldCost = z.infer<z.ZodMiniObject<typeof costForms>>;

/**
 * Wei; null where the node does not tell. Arbitrum's gas includes what publishing takes.
 * The operator fee is that of the OP stack's specification: Isthmus divides the scalar's part by a million, Jovian (whose
 * receipts have `daFootprintGasScalar`) multiplies it by a hundred.
 */
export function receiptCost(told: ToldCost): bigint | null {
  const { gasUsed, effectiveGasPrice, l1Fee, operatorFeeScalar, operatorFeeConstant, daFootprintGasScalar } = told;
  if (gasUsed == null || effectiveGasPrice == null) return null;
  const scaled = gasUsed * (operatorFeeScalar ?? 0n);
  const operatorFee =
    (daFootprintGasScalar == null ? scaled / 1_000_000n : scaled * 100n) + (operatorFeeConstant ?? 0n);
  return gasUsed * effectiveGasPrice + (l1Fee ?? 0n) + operatorFee;
}
