import { join, relative, resolve } from 'node:path';
import { launch } from './launcher.ts';

const project = resolve(import.meta.dirname, '../..');
const { DATA_DIR, DATABASE_URL, PORT } = process.env;

await launch({
  dataDir: DATA_DIR ? resolve(DATA_DIR) : join(project, '.antequem'),
  databaseUrl: DATABASE_URL || undefined,
  port: Number(PORT || 3963),
  print: (line) => console.log(line.replaceAll(project, relative(process.cwd(), project) || '.')),
});
