import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const Endpoints = z.object({
  pid: z.int().positive(),
  startedAt: z.string(),
  /** Of the API. */
  url: z.string(),
  evmRpcUrl: z.string(),
  chainId: z.int().positive(),
  contract: z.string().nullable(),
  /** With user and password. These three are null where the node could not be started. */
  bitcoinRpcUrl: z.string().nullable(),
  /** CAIP-2. */
  bitcoinChain: z.string().nullable(),
  calendarUrl: z.string().nullable(),
  databaseUrl: z.string(),
});

/** Where local mode answers: `endpoints.json` in its data folder, there while it runs. */
export type Endpoints = z.infer<typeof Endpoints>;

const fileOf = (dataDir: string): string => join(dataDir, 'endpoints.json');

/** A reader sees the old file or the new one, never half of one. */
export function writeEndpoints(dataDir: string, endpoints: Endpoints): void {
  const temporary = `${fileOf(dataDir)}.new`;
  writeFileSync(temporary, `${JSON.stringify(endpoints, null, 2)}\n`, { mode: 0o600 });
  renameSync(temporary, fileOf(dataDir));
}

/** null when there is no such file; after a kill it may tell of a process that is gone. @throws when it is malformed */
export function readEndpoints(dataDir: string): Endpoints | null {
  let text: string;
  try {
    text = readFileSync(fileOf(dataDir), 'utf8');
  } catch {
    return null;
  }
  return Endpoints.parse(JSON.parse(text));
}

export function removeEndpoints(dataDir: string): void {
  rmSync(fileOf(dataDir), { force: true });
}
