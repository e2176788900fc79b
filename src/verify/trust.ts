import type { HeaderSource } from '../core/bitcoin-source.ts';
import type { EvmSource } from '../core/evm-source.ts';
import type { Policy } from '../core/policy.ts';

export type { HeaderSource } from '../core/bitcoin-source.ts';
export type { EvmSource } from '../core/evm-source.ts';

/** What the verifier trusts without proof. All of it is optional; with none of it nothing is ever proven. */
export interface Trust {
  /** Verifier key of the log, from elsewhere than the receipt: `origin+hex8(keyID)+base64(type ‖ public key)`, of type 0x01 or 0x06. */
  readonly key?: string | undefined;
  /** Which witnesses' cosignatures count, and how many are needed (C2SP tlog-policy). */
  readonly policy?: Policy | undefined;
  /** Views of EVM chains. Each is asked only about its own chain; two of one chain must not contradict each other. */
  readonly evm?: readonly EvmSource[] | undefined;
  /** Views of Bitcoin chains, by the same rule. */
  readonly bitcoin?: readonly HeaderSource[] | undefined;
  /**
   * Hashes of blocks known to be final: of EVM chains 0x-hex, of Bitcoin hex in RPC order without 0x. Of Bitcoin also whole
   * headers, 160 hex digits: an .ots file has none.
   */
  readonly blockHashes?: readonly string[] | undefined;
  /** CAs of timestamp authorities (RFC 3161), PEM or DER; with them certificates that tokens may lack. */
  readonly authorities?: readonly Uint8Array[] | undefined;
  /** Milliseconds since the Unix epoch, by the verifier's clock. */
  readonly now?: number | undefined;
}
