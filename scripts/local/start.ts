import { join, relative, resolve } from 'node:path';
import { startBitcoin } from './bitcoin.ts';
import { startChain } from './chain.ts';
import { launch } from './launcher.ts';
import { startService } from './service.ts';

const project = resolve(import.meta.dirname, '../..');
const { DATA_DIR, DATABASE_URL, PORT } = process.env;

await launch({
  dataDir: DATA_DIR ? resolve(DATA_DIR) : join(project, '.antequem'),
  databaseUrl: DATABASE_URL || undefined,
  port: Number(PORT || 3963),
  chainPort: 8545,
  chainId: 31337,
  bitcoinPort: 18443,
  calendarPort: 14788,
  startChain,
  startBitcoin: (options) => startBitcoin({ ...options, interval: 2_000, depth: 6 }),
  startService,
  print: (line) => console.log(line.replaceAll(project, relative(process.cwd(), project) || '.')),
});
