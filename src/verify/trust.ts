import type { HeaderSource } from '../core/bitcoin-source.ts';
import type { EvmSource } from '../core/evm-source.ts';
import type { Policy } from '../core/policy.ts';

export type { HeaderSource } from '../core/bitcoin-source.ts';
export type { EvmSource } from '../core/evm-source.ts';

/** What whoever verifies takes for true without proof. All of it is optional; without any nothing is ever proven. */
export interface Trust {
  /** Verifier key of the log, got independently of the receipt: `origin+hex8(keyID)+base64(0x01 ‖ public key)`. */
  readonly key?: string | undefined;
  /** Whose cosignatures of a checkpoint count, and how many are asked for (C2SP tlog-policy). */
  readonly policy?: Policy | undefined;
  /** Views of EVM chains. Each is asked about its own chain alone; where two speak of one, neither may contradict. */
  readonly evm?: readonly EvmSource[] | undefined;
  /** Views of Bitcoin chains, for which the same holds. */
  readonly bitcoin?: readonly HeaderSource[] | undefined;
  /** Hashes of blocks known to be final: of EVM chains 0x-hex, of Bitcoin hex in RPC order without 0x. */
  readonly blockHashes?: readonly string[] | undefined;
  /** Milliseconds since the Unix epoch, by the verifier's clock. */
  readonly now?: number | undefined;
}
