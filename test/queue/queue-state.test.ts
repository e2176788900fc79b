import { expect, test } from 'vitest';
import { type QueueState, queueFault } from '../../src/metrics/queue-state.ts';

const SOUND: QueueState = { problem: null, notices: [], scheduled: true, sinceRun: 1_000 };
const MINUTE = 60_000;

test.each<[string, Partial<QueueState>, number, string | null]>([
  ['a queue that wakes', {}, 10 * MINUTE, null],
  ['one that takes no wake-ups, at once', { problem: 'refuses writes (OOM)' }, 0, 'failing'],
  ['no schedule, while workers may be starting', { scheduled: false }, MINUTE, null],
  ['no schedule', { scheduled: false, sinceRun: null }, 10 * MINUTE, 'no schedule'],
  ['a schedule that no worker heeds', { sinceRun: 5 * MINUTE }, 10 * MINUTE, 'stalled'],
  ['a schedule that no worker ever heeded', { sinceRun: null }, 10 * MINUTE, 'stalled'],
  ['a schedule heeded within three periods and a minute', { sinceRun: 4 * MINUTE }, 10 * MINUTE, null],
  ['a queue that does not tell its schedule', { scheduled: null }, 10 * MINUTE, null],
])('%s', (_name, state, up, check) => {
  const fault = queueFault({ ...SOUND, ...state }, MINUTE, up);
  expect(fault?.check ?? null).toBe(check);
  if (fault !== null)
    expect(fault.notice).toMatch(/^the queue .*: rounds are closed and anchored late$|so no worker runs: /);
});
