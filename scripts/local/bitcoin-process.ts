// A regtest node and its calendar in a process of their own: says where they listen as one JSON line, lives as long as
// its stdin is open. Started by bitcoin.ts; argument: its options as JSON.

import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { REGTEST } from '../../src/core/bitcoin-header.ts';
import { RegtestNode } from './bitcoin-node.ts';
import { LocalCalendar } from './calendar.ts';
import { onParentGone } from './child.ts';

const STOP_LIMIT_MS = 1_000;

process.on('SIGTERM', end);
onParentGone(end);

const Options = z.object({
  dataDir: z.string(),
  rpcPort: z.number(),
  calendarPort: z.number(),
  interval: z.number(),
  depth: z.number(),
  /** Beyond loopback: the name and the password by which a network of containers knows it. */
  host: z.string().optional(),
  password: z.string().optional(),
});

const { dataDir, rpcPort, calendarPort, interval, depth, host, password } = Options.parse(
  JSON.parse(process.argv[2] ?? ''),
);
const node = await RegtestNode.open({ dataDir, port: rpcPort, password: password ?? keptPassword(), host });
const calendar = await LocalCalendar.open({
  node,
  book: join(dataDir, 'calendar.jsonl'),
  port: calendarPort,
  host,
  interval,
  depth,
  random: (length) => new Uint8Array(randomBytes(length)),
  now: Date.now,
});
process.stdout.write(`${JSON.stringify({ rpcUrl: node.rpcUrl, chain: REGTEST, calendarUrl: calendar.url })}\n`);

/** Nothing is lost without it, but the blocks are read faster next time. */
function end(): void {
  setTimeout(() => process.exit(0), STOP_LIMIT_MS);
  const closing = async (): Promise<void> => {
    await calendar.close();
    await node.close();
  };
  closing().finally(() => process.exit(0));
}

/** The same for ever, so that URLs stay what they were, and out of reach of other users of the machine. */
function keptPassword(): string {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const file = join(dataDir, 'rpc-password');
  if (!existsSync(file)) writeFileSync(file, randomBytes(8).toString('hex'), { mode: 0o600 });
  return readFileSync(file, 'utf8');
}
