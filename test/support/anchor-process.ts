// One process that anchors, and is killed in the midst of it: `node anchor-process.ts <JSON>`.

import { setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';
import { z } from 'zod';
import { rpcNode } from '../../src/evm/node.ts';
import { keySigner } from '../../src/evm/signer.ts';
import { EvmTarget } from '../../src/evm/target.ts';
import { openDatabase } from '../../src/store/database.ts';
import { EFFECTS, withFault } from './anchor-faults.ts';
import { MOMENTS } from './spoil.ts';

const settings = z.strictObject({
  databaseUrl: z.string(),
  rpcUrl: z.string(),
  name: z.string(),
  contract: z.string(),
  key: z.string(),
  rounds: z.array(z.number()),
  /** Killed at that occurrence; null: never. */
  fault: z.nullable(z.strictObject({ effect: z.enum(EFFECTS), moment: z.enum(MOMENTS), occurrence: z.number() })),
});

const { databaseUrl, rpcUrl, name, contract, key, rounds, fault } = settings.parse(JSON.parse(process.argv[2] ?? ''));
const database = openDatabase(databaseUrl, { connections: 5 });
const whole = { node: rpcNode({ url: rpcUrl }), signer: keySigner(key), database };
const parts =
  fault === null
    ? whole
    : withFault(whole, {
        ...fault,
        due: (occurrence) => occurrence === fault.occurrence,
        strike: async () => {
          process.kill(process.pid, 'SIGKILL');
          return new Promise<never>(() => {});
        },
      });
const target = new EvmTarget({
  name,
  chainId: 31337,
  rpcUrls: [],
  nodes: [parts.node],
  contract,
  storeEvery: 'always',
  signer: parts.signer,
  ephemeral: false,
  firstRound: 1,
  pollInterval: 20,
  resendAfter: 0,
  database: parts.database,
  now: Date.now,
  logger: pino({ level: 'silent' }),
  declareSender: async () => {},
});
await target.register();
for (let i = 0; i < 200; i++) {
  const outcome = await target.advance(rounds);
  if ([...outcome.values()].every((again) => again === null)) break;
  await pause(20);
}
target.close();
await database.end();
