import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { AntequemError } from '../../src/core/errors.ts';
import { findProcess, isRunning } from './process-table.ts';

const Claim = z.object({ pid: z.int().positive(), started: z.string(), since: z.string(), url: z.string().nullable() });
type Claim = z.infer<typeof Claim>;

/** The sole right to a data folder, held by this process until it releases it or ends, however it ends. */
export interface Holder {
  /** Tells later comers where the service that holds the folder answers. */
  announce(url: string): void;
  release(): void;
}

function otherClaim(dataDir: string, own: string): Claim | null {
  for (const name of readdirSync(dataDir)) {
    if (!/^holder-[0-9a-f]{16}\.json$/.test(name) || name === own) continue;
    const path = join(dataDir, name);
    try {
      const claim = Claim.parse(JSON.parse(readFileSync(path, 'utf8')));
      if (isRunning(claim)) return claim;
    } catch {
      if (!existsSync(path)) continue;
    }
    // Names are never used twice, so what is removed here is the dead claim that was read, not a newer one.
    rmSync(path, { force: true });
  }
  return null;
}

function writeClaim(dataDir: string, name: string, claim: Claim): void {
  const temporary = join(dataDir, `${name}.new`);
  writeFileSync(temporary, JSON.stringify(claim), { mode: 0o600 });
  renameSync(temporary, join(dataDir, name));
}

/**
 * Claims the data folder (made if missing). Each contender first writes its own claim and then looks for others, so of
 * two that come at once at least one sees the other; when both do, both step back and try again.
 * @throws AntequemError `data-held`, naming the process that holds it, since when, and its URL
 */
export async function holdData(dataDir: string, now: () => Date): Promise<Holder> {
  const self = findProcess(process.pid);
  if (self === null) throw new AntequemError('no-process-table', 'neither /proc nor ps tells about this process');
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const since = now().toISOString();
  let other: Claim | null = null;
  for (let attempt = 0; attempt < 5; attempt++) {
    const name = `holder-${randomBytes(8).toString('hex')}.json`;
    const claim: Claim = { pid: self.pid, started: self.started, since, url: null };
    writeClaim(dataDir, name, claim);
    other = otherClaim(dataDir, name);
    if (other === null) {
      return {
        announce: (url) => writeClaim(dataDir, name, { ...claim, url }),
        release: () => rmSync(join(dataDir, name), { force: true }),
      };
    }
    rmSync(join(dataDir, name), { force: true });
    if (other.url !== null) break;
    await sleep(50 + Math.random() * 200);
  }
  const where = other?.url ? `and answers at ${other.url}` : 'and is just starting or stopping';
  throw new AntequemError(
    'data-held',
    `${dataDir} is in use: process ${other?.pid} has held it since ${other?.since} ${where}. ` +
      'Stop that one first, or set DATA_DIR to another folder.',
  );
}
