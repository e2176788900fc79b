import { type Verifications, VerificationThread } from '../api/verifications.ts';
import type { BitcoinConfig } from '../config/calendars.ts';
import type { Config } from '../config.ts';
import { threadFile } from './thread-file.ts';

/** What the thread needs to open its own sources. */
export interface VerificationSettings {
  /** `confirmations`: blocks that make final where the node names no final block; null: none do. */
  readonly nodes: readonly { readonly url: string; readonly confirmations: number | null }[];
  readonly bitcoin: BitcoinConfig;
  /** Certificates of timestamp authorities, PEM or DER. */
  readonly authorities: readonly Uint8Array[];
}

/** Verifies by the service's own nodes. */
export function openVerifications({
  targets,
  bitcoin,
  authorities,
}: Pick<Config, 'targets' | 'bitcoin' | 'authorities'>): Verifications {
  const nodes = targets.flatMap(({ rpcUrls, confirmations }) => rpcUrls.map((url) => ({ url, confirmations })));
  const trusted = authorities.map(({ certificates }) => certificates);
  const settings: VerificationSettings = { nodes, bitcoin, authorities: trusted };
  return new VerificationThread(threadFile('verification-thread'), settings);
}
