// Manifests for Kubernetes: from the chart, and checked against the types of its API.

import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';

const manifestForm = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string() }),
});
export type Manifest = z.output<typeof manifestForm>;

export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors.length > 0) throw document.errors[0];
    const value: unknown = document.toJS();
    return value === null ? [] : [manifestForm.parse(value)];
  });
}

/** What the compiler says of manifests as the API of Kubernetes has them: unknown fields, other types. Nothing if all is well. */
export async function typeFaults(manifests: readonly Manifest[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'antequem-manifests-'));
  try {
    const source = manifests.map((manifest, i) => {
      const { apiVersion, kind } = manifest;
      const from = `kubernetes-types/${apiVersion.replace('.k8s.io', '').replace(/^v1$/, 'core/v1')}`;
      return `import type { ${kind} as Kind${i} } from '${from}';\nexport const manifest${i} = ${JSON.stringify(manifest, null, 1)} satisfies Kind${i};\n`;
    });
    await symlink(resolve('node_modules'), join(folder, 'node_modules'));
    await writeFile(join(folder, 'manifests.ts'), source.join('\n'));
    const compilerOptions = { noEmit: true, strict: true, module: 'esnext', moduleResolution: 'bundler', types: [] };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['manifests.ts'] }));
    const { stdout } = spawnSync(resolve('node_modules/.bin/tsc'), ['-p', folder], { encoding: 'utf8' });
    return stdout;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The chart as it is rendered by default, without what only a chart needs: where a part comes from, the hash of its settings. */
export function plainOf(rendered: string): string {
  return rendered
    .replaceAll(/^# Source: .*\n/gm, '')
    .replaceAll(/^ {6}annotations:\n {8}# Pods are replaced.*\n {8}antequem\/settings: .*\n/gm, '')
    .replace(/^---\n/, '');
}
