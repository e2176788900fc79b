import { uptime } from 'node:os';
import type { ClockReadings } from './clock.ts';

// Not performance.now(), which stands still while a laptop sleeps: waking up would look like a jump.
export const machineReadings: ClockReadings = { wall: Date.now, monotonic: () => uptime() * 1_000 };
