// Helm itself, built from its module: lints the chart, renders it, and the manifests are what it renders.

import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { GO_MISSING } from '../support/go-sender.ts';
import { parseManifests, plainOf, typeFaults } from '../support/manifests.ts';

const HELM = 'helm.sh/helm/v3/cmd/helm@v3.18.6';
const CHART = 'deploy/helm/antequem';
// A Helm that is built so takes the Kubernetes for one too old for the chart.
const RENDER = ['template', 'antequem', CHART, '--namespace', 'antequem', '--kube-version', '1.34.0'];

let folder: string;
beforeAll(async () => {
  if (GO_MISSING !== null) return;
  folder = await mkdtemp(join(tmpdir(), 'antequem-helm-'));
  await promisify(execFile)('go', ['install', HELM], { env: { ...process.env, GOBIN: folder, GOFLAGS: '-mod=mod' } });
}, 900_000);
afterAll(async () => {
  if (folder !== undefined) await rm(folder, { recursive: true });
});

function helm(...args: readonly string[]): readonly [number | null, string, string] {
  const { status, stdout, stderr } = spawnSync(join(folder, 'helm'), args, { encoding: 'utf8' });
  return [status, stdout, stderr];
}

test.skipIf(GO_MISSING !== null)('helm takes the chart, and no values that it does not know', () => {
  expect(helm('lint', '--strict', CHART)).toEqual([
    0,
    expect.stringContaining('0 chart(s) failed'),
    expect.any(String),
  ]);
  for (const wrong of ['api.replica=2', 'settings.PORT=1', 'origin=https://x', 'worker.replicas=0']) {
    expect([wrong, helm('lint', '--strict', CHART, '--set', wrong)[0]]).toEqual([wrong, 1]);
  }
});

test.skipIf(GO_MISSING !== null)('the plain manifests are what the chart renders', async () => {
  const plain = await readFile('deploy/kubernetes/antequem.yaml', 'utf8');
  const [, rendered] = helm(...RENDER);
  expect(plain.replaceAll(/^#.*\n/gm, '')).toBe(plainOf(rendered));
});

test.skipIf(GO_MISSING !== null)('everything that values turn on is as the API has it', async () => {
  const on = [
    'ingress.enabled=true',
    'image.pullSecrets={one,two}',
    'settings.LOG_LEVEL=debug',
    'podMonitor.enabled=true',
  ];
  const [status, rendered] = helm(...RENDER, ...on.flatMap((each) => ['--set', each]));
  expect(status).toBe(0);
  const manifests = parseManifests(rendered);
  expect(manifests.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['Ingress', 'PodMonitor']));
  // Of an extension, which has no types here.
  expect(await typeFaults(manifests.filter(({ kind }) => kind !== 'PodMonitor'))).toBe('');
  expect(rendered).toContain('LOG_LEVEL: "debug"');
});
