// Looks once for entries that are due: to be killed meanwhile.

import { lookForDue } from '../../src/log/retention-run.ts';
import { openInstance } from './instance.ts';

const one = await openInstance(process.argv[2] ?? '');
const stopping = new AbortController().signal;
process.send?.(await lookForDue({ ...one, archive: null, interval: 0, stopping }));
await one.end();
process.disconnect?.();
