// The manifests for Kubernetes against the types of its API, and their settings against ours. test/scale lints the chart that
// they are made from.

import { readFile } from 'node:fs/promises';
import { beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import packageJson from '../../package.json' with { type: 'json' };
import { mistypedSettings, readConfig } from '../../src/config.ts';
import { type Manifest, parseManifests, typeFaults } from '../support/manifests.ts';

const deploy = new URL('../../deploy/', import.meta.url);
const probe = z.object({ httpGet: z.object({ path: z.string(), port: z.literal('http') }) });
const labels = z.record(z.string(), z.string());
const deployment = z.object({
  spec: z.object({
    selector: z.object({ matchLabels: labels }),
    template: z.object({
      metadata: z.object({ labels }),
      spec: z.object({
        automountServiceAccountToken: z.literal(false),
        securityContext: z.object({ runAsNonRoot: z.literal(true), runAsUser: z.int().positive() }),
        containers: z.tuple([
          z.object({
            args: z.array(z.string()),
            // Secrets by reference alone.
            env: z.undefined().optional(),
            ports: z.tuple([z.object({ name: z.literal('http'), containerPort: z.literal(3963) })]),
            startupProbe: probe,
            livenessProbe: probe,
            readinessProbe: probe,
            securityContext: z.object({
              allowPrivilegeEscalation: z.literal(false),
              readOnlyRootFilesystem: z.literal(true),
              capabilities: z.object({ drop: z.tuple([z.literal('ALL')]) }),
            }),
          }),
        ]),
      }),
    }),
  }),
});
const selecting = z.object({ spec: z.object({ selector: z.union([z.object({ matchLabels: labels }), labels]) }) });

let manifests: Manifest[];
beforeAll(async () => {
  manifests = parseManifests(await readFile(new URL('kubernetes/antequem.yaml', deploy), 'utf8'));
});
const ofKind = (kind: string): Manifest[] => manifests.filter((manifest) => manifest.kind === kind);

test('the manifests have the fields of the API, and would not pass with others', async () => {
  expect(manifests.length).toBeGreaterThan(5);
  expect(await typeFaults(manifests)).toBe('');
  const [first] = ofKind('Deployment');
  const wrong = { ...first, apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'x', lables: {} } };
  expect(await typeFaults([wrong])).toContain('lables');
});

test('API and worker run apart, as a numeric user, with a read-only root, probes and a disruption budget each', () => {
  const parsed = ofKind('Deployment').map((manifest) => deployment.parse(manifest).spec);
  const roles = parsed.map(({ template }) => template.spec.containers[0].args.join(' '));
  expect(roles).toEqual(['serve --roles api', 'serve --roles worker']);
  for (const { selector, template } of parsed) {
    const [container] = template.spec.containers;
    expect(template.metadata.labels).toMatchObject(selector.matchLabels);
    expect([container.livenessProbe.httpGet.path, container.readinessProbe.httpGet.path]).toEqual([
      '/healthz',
      '/readyz',
    ]);
  }
  const budgets = ofKind('PodDisruptionBudget').map((manifest) => selecting.parse(manifest).spec.selector);
  expect(budgets).toEqual(parsed.map(({ selector }) => selector));
  const [service] = ofKind('Service').map((manifest) => selecting.parse(manifest).spec.selector);
  expect(service).toEqual(parsed[0]?.selector.matchLabels);
});

test('the settings are ours, and hold no secret', () => {
  const [map] = ofKind('ConfigMap').map((manifest) => z.object({ data: labels }).parse(manifest).data);
  const set = { ...map, DATABASE_URL: 'postgres://x@y/z', ROLES: 'worker' };
  expect(mistypedSettings(set)).toEqual([]);
  expect(readConfig(set)).toMatchObject({ host: '0.0.0.0', port: 3963, healthPort: 3963 });
  expect(JSON.stringify(map)).not.toMatch(/postgres|redis|password/);
});

test('chart and package have one version', async () => {
  const chart = await readFile(new URL('helm/antequem/Chart.yaml', deploy), 'utf8');
  expect(/^appVersion: (\S+)$/m.exec(chart)?.[1]).toBe(packageJson.version);
});
