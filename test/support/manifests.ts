// Manifests for Kubernetes: from the chart, and checked against the types of its API.

import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { compilerFaults } from './compiler-faults.ts';

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
  const source = manifests.map((manifest, i) => {
    const { apiVersion, kind } = manifest;
    const from = `kubernetes-types/${apiVersion.replace('.k8s.io', '').replace(/^v1$/, 'core/v1')}`;
    return `import type { ${kind} as Kind${i} } from '${from}';\nexport const manifest${i} = ${JSON.stringify(manifest, null, 1)} satisfies Kind${i};\n`;
  });
  return compilerFaults(source.join('\n'));
}

/** The chart as it is rendered by default, without what only a chart needs: where a part comes from, the hash of its settings. */
export function plainOf(rendered: string): string {
  return rendered
    .replaceAll(/^# Source: .*\n/gm, '')
    .replaceAll(/^ {6}annotations:\n {8}# Pods are replaced.*\n {8}antequem\/settings: .*\n/gm, '')
    .replace(/^---\n/, '');
}
