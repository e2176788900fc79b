import { join, relative, resolve } from 'node:path';
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
  startChain,
  startService,
  print: (line) => console.log(line.replaceAll(project, relative(process.cwd(), project) || '.')),
});
