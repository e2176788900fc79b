// The real service in a process of its own, without API keys: its environment comes as JSON.

import { flushCompileCache } from 'node:module';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { pino } from 'pino';
import { z } from 'zod';
import { readConfig } from '../../src/config.ts';
import { serve } from '../../src/main.ts';

const environment = z.record(z.string(), z.string()).parse(JSON.parse(process.argv[2] ?? ''));
const config = readConfig(environment);
process.on('disconnect', () => process.exit());
/** How long the event loop was held, nanoseconds. */
const delays = monitorEventLoopDelay({ resolution: 5 });
delays.enable();
const running = await serve({ ...config, open: true }, pino({ level: environment.LOG_LEVEL ?? 'silent' }));
process.on('message', (message) => {
  if (message === 'stop') void running.stop().then(() => process.exit());
  if (message === 'memory') process.send?.({ rss: process.memoryUsage.rss() });
  if (message === 'heap') process.send?.({ heap: heapInUse() });
  if (message === 'delay') {
    process.send?.({ delay: delays.max / 1e6 });
    delays.reset();
  }
});
process.send?.({ url: running.url });

/** Bytes that are left once everything that can go is gone. */
function heapInUse(): number {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect === 'function') collect();
  return process.memoryUsage().heapUsed;
}

// By the end of most of these processes it would be too late.
flushCompileCache();
