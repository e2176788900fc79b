// What keeps an item from being made canonical.

/** Why an item could not be made canonical. */
export const SET_ASIDE_REASONS = [
  'header-invalid',
  'id-invalid',
  'member-twice',
  'not-an-event',
  'not-json',
  'not-protobuf',
  'not-utf8',
  'nul-hole',
  'too-deep',
  'too-large',
  'too-many-values',
  'value-invalid',
] as const;
export type SetAsideReason = (typeof SET_ASIDE_REASONS)[number];

/** An item is parsed whole: this and the bound on its values keep memory and time of one item small. */
const MAX_ITEM_BYTES = 16 << 20;

/** Something in one item keeps it from being made canonical. */
export class ItemFault extends Error {
  readonly reason: SetAsideReason;

  constructor(reason: SetAsideReason, message: string) {
    super(message);
    this.name = 'ItemFault';
    this.reason = reason;
  }
}

/** @throws ItemFault `too-large` */
export function checkItemSize(bytes: Uint8Array): void {
  if (bytes.length > MAX_ITEM_BYTES) throw new ItemFault('too-large', `an item of ${bytes.length} bytes`);
}
