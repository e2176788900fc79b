// The real service in a process of its own, without API keys: its environment comes as JSON.

import { flushCompileCache } from 'node:module';
import { pino } from 'pino';
import { z } from 'zod';
import { readConfig } from '../../src/config.ts';
import { serve } from '../../src/main.ts';

const environment = z.record(z.string(), z.string()).parse(JSON.parse(process.argv[2] ?? ''));
const config = readConfig(environment);
process.on('disconnect', () => process.exit());
const running = await serve({ ...config, open: true }, pino({ level: environment.LOG_LEVEL ?? 'silent' }));
process.on('message', (message) => {
  if (message === 'stop') void running.stop().then(() => process.exit());
  if (message === 'memory') process.send?.({ rss: process.memoryUsage.rss() });
});
process.send?.({ url: running.url });
// By the end of most of these processes it would be too late.
flushCompileCache();
