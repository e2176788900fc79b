import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** What the compiler says of TypeScript that imports packages of ours. Nothing if all is well. */
export async function compilerFaults(source: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'antequem-types-'));
  try {
    await symlink(resolve('node_modules'), join(folder, 'node_modules'));
    await writeFile(join(folder, 'source.ts'), source);
    const module = { module: 'esnext', moduleResolution: 'bundler', skipLibCheck: true };
    const compilerOptions = { noEmit: true, strict: true, ...module, types: [] };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['source.ts'] }));
    const { stdout } = spawnSync(resolve('node_modules/.bin/tsc'), ['-p', folder], { encoding: 'utf8' });
    return stdout;
  } finally {
    await rm(folder, { recursive: true });
  }
}
