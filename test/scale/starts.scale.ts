import { test } from 'vitest';
import { startTogether } from '../local/many-starts.ts';

test('twenty starts at once all run', async () => {
  const start = performance.now();
  await startTogether(20);
  console.log(`20 starts at once: all ran and stopped, ${((performance.now() - start) / 1_000).toFixed(0)} s`);
});
