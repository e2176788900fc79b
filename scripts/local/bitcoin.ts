// Bitcoin for one machine: a regtest node and a calendar that stamps into it, in one process of their own.

import { z } from 'zod';
import { type Child, startChild } from './child.ts';

const Said = z.object({ rpcUrl: z.string(), chain: z.string(), calendarUrl: z.string() });

export interface LocalBitcoin extends Omit<Child, 'says'>, z.output<typeof Said> {}

export interface LocalBitcoinOptions {
  /** Where blocks and promises are kept; made if missing. */
  readonly dataDir: string;
  /** Replaced by free ones where they are in use; 0: any. */
  readonly rpcPort: number;
  readonly calendarPort: number;
  /** Milliseconds between blocks while there is something to confirm. */
  readonly interval: number;
  /** How deep blocks with stamps are buried. */
  readonly depth: number;
}

/**
 * Starts both and answers once they listen, on loopback alone. They end with this process however that ends.
 * @throws Error if the process ends or says nothing before
 */
export async function startBitcoin(options: LocalBitcoinOptions): Promise<LocalBitcoin> {
  const { says, ...child } = await startChild('the local Bitcoin node', [
    'bitcoin-process.ts',
    JSON.stringify(options),
  ]);
  return { ...child, ...Said.parse(says) };
}
