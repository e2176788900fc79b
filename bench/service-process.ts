// A service with its API open on a free port, for benches: it is measured in a process of its own.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { z } from 'zod';
import { readConfig } from '../src/config.ts';
import { serve } from '../src/main.ts';
import { tellUsage } from './usage.ts';

/** Further settings, as JSON. */
const settings = z.record(z.string(), z.string()).parse(JSON.parse(process.argv[3] ?? '{}'));
const seedFile = join(mkdtempSync(join(tmpdir(), 'antequem-bench-')), 'seed');
writeFileSync(seedFile, '5e'.repeat(32), { mode: 0o600 });
const config = readConfig({
  DATABASE_URL: process.argv[2],
  ORIGIN: 'bench.local',
  LOG_SEED_FILE: seedFile,
  PORT: '0',
  ROLES: 'api',
  ...settings,
});
const running = await serve({ ...config, open: true, port: 0 }, pino({ level: 'warn' }));
process.on('message', (message) => {
  if (message === 'usage') tellUsage();
  else void running.stop().then(() => process.exit(0));
});
process.send?.({ url: running.url });
