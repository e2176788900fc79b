import { test } from 'vitest';
import { startTogether } from './many-starts.ts';

test('four starts at once all run', () => startTogether(4));
