import type { AnchorKinds } from './anchor/kind.ts';
import { evmKind } from './evm/kind.ts';
import { otsKind } from './ots/kind.ts';
import { tsaKind } from './tsa/kind.ts';

/** All kinds of anchors. docs/contributing.md tells what else a new one needs. */
export const KINDS: AnchorKinds = { evm: evmKind, opentimestamps: otsKind, rfc3161: tsaKind };
