// One process that stamps, and is killed in the midst of it: `node ots-process.ts <JSON>`.

import { setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';
import { z } from 'zod';
import { nodeSource } from '../../src/bitcoin/header-sources.ts';
import { BITCOIN } from '../../src/core/bitcoin-header.ts';
import { calendarClient } from '../../src/ots/calendar-client.ts';
import { OtsTarget } from '../../src/ots/target.ts';
import { openDatabase } from '../../src/store/database.ts';
import { OTS_EFFECTS, withOtsFault } from './ots-faults.ts';
import { FAST } from './ots-pace.ts';
import { MOMENTS } from './spoil.ts';

const settings = z.strictObject({
  databaseUrl: z.string(),
  rpcUrl: z.string(),
  calendars: z.array(z.string()),
  rounds: z.array(z.number()),
  /** Killed at that occurrence. */
  fault: z.strictObject({ effect: z.enum(OTS_EFFECTS), moment: z.enum(MOMENTS), occurrence: z.number() }),
});

const { databaseUrl, rpcUrl, calendars, rounds, fault } = settings.parse(JSON.parse(process.argv[2] ?? ''));
const database = openDatabase(databaseUrl, { connections: 4 });
const whole = {
  client: calendarClient({ timeout: FAST.timeout }),
  source: nodeSource(rpcUrl, BITCOIN, { timeout: 2_000 }),
  database,
};
const parts = withOtsFault(whole, {
  ...fault,
  due: (occurrence) => occurrence === fault.occurrence,
  strike: async () => {
    process.kill(process.pid, 'SIGKILL');
    return new Promise<never>(() => {});
  },
});
const target = new OtsTarget({
  name: 'opentimestamps',
  chain: BITCOIN,
  calendars: calendars.map((url) => ({ url, uris: [] })),
  minCalendars: 2,
  ephemeral: false,
  firstRound: 1,
  pace: FAST,
  now: Date.now,
  logger: pino({ level: 'silent' }),
  ...parts,
});
await target.register();
for (let i = 0; i < 500; i++) {
  const looks = await target.advance(rounds);
  if ([...looks.values()].every((again) => again === null)) break;
  await pause(10);
}
target.close();
await database.end();
