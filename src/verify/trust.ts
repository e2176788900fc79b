import type { EvmSource } from '../core/evm-source.ts';

export type { EvmSource } from '../core/evm-source.ts';

/** What whoever verifies takes for true without proof. All of it is optional; without any nothing is ever proven. */
export interface Trust {
  /** Verifier key of the log, got independently of the receipt: `origin+hex8(keyID)+base64(0x01 ‖ public key)`. */
  readonly key?: string | undefined;
  /** Views of EVM chains. Each is asked about its own chain alone; where two speak of one, neither may contradict. */
  readonly evm?: readonly EvmSource[] | undefined;
  /** Hashes of blocks known to be final, 0x-hex. */
  readonly blockHashes?: readonly string[] | undefined;
  /** Milliseconds since the Unix epoch, by the verifier's clock. */
  readonly now?: number | undefined;
}
