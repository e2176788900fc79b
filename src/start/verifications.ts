import { type Verifications, VerificationThread } from '../api/verifications.ts';
import type { BitcoinConfig } from '../config/calendars.ts';
import type { Config } from '../config.ts';

/** What the thread needs to open its own sources. */
export interface VerificationSettings {
  readonly rpcUrls: readonly string[];
  readonly bitcoin: BitcoinConfig;
}

// A package has it compiled.
const FILE = `./verification-thread.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`;

/** Verifies by the service's own nodes. */
export function openVerifications({ targets, bitcoin }: Pick<Config, 'targets' | 'bitcoin'>): Verifications {
  const settings: VerificationSettings = { rpcUrls: targets.flatMap(({ rpcUrls }) => rpcUrls), bitcoin };
  return new VerificationThread(new URL(FILE, import.meta.url), settings);
}
