// PostgreSQL's server under a process of its own: says where it listens as one JSON line, and stops it when stdin is at
// its end. Started by postgres.ts; argument: its options as JSON.

import { z } from 'zod';
import { messageOf } from '../../src/core/errors.ts';
import { onParentGone } from './child.ts';
import { openServer } from './postgres-server.ts';

const Options = z.object({
  dataDir: z.string(),
  settings: z.record(z.string(), z.string()).optional(),
  systemFolder: z.string().optional(),
});

const abort = new AbortController();
const gone = new Promise<void>((resolve) => {
  onParentGone(() => {
    abort.abort();
    resolve();
  });
});
try {
  const { ended, stop, ...says } = await openServer({
    ...Options.parse(JSON.parse(process.argv[2] ?? '')),
    signal: abort.signal,
  });
  process.stdout.write(`${JSON.stringify(says)}\n`);
  await Promise.race([gone, ended]);
  await stop();
  process.exit(0);
} catch (error) {
  console.error(messageOf(error));
  process.exit(1);
}
