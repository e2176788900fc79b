// Helm itself, built from its module: lints the chart, renders it, and the manifests are what it renders. Both fit the JSON
// schemas that Kubernetes publishes, which a package of PyPI has, by its own validator and by kubeconform.

import { execFile, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { GO_MISSING } from '../support/go-sender.ts';
import { parseManifests, plainOf, typeFaults } from '../support/manifests.ts';

const HELM = 'helm.sh/helm/v3/cmd/helm@v3.18.6';
const KUBECONFORM = 'github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0';
const CHART = 'deploy/helm/antequem';
// A Helm that is built so takes the Kubernetes for one too old for the chart.
const RENDER = ['template', 'antequem', CHART, '--namespace', 'antequem', '--kube-version', '1.34.0'];

const run = promisify(execFile);

let folder: string;
beforeAll(async () => {
  if (GO_MISSING !== null) return;
  folder = await mkdtemp(join(tmpdir(), 'antequem-helm-'));
  await run('python3', ['-m', 'venv', join(folder, 'venv')]);
  await run(join(folder, 'venv/bin/pip'), ['install', '--quiet', VALIDATOR]);
  for (const module of [HELM, KUBECONFORM]) {
    await run('go', ['install', module], { env: { ...process.env, GOBIN: folder, GOFLAGS: '-mod=mod' } });
  }
}, 900_000);
afterAll(async () => {
  if (folder !== undefined) await rm(folder, { recursive: true });
});

const VALIDATOR = 'kubernetes-validate==1.37.0';

/** What the JSON schemas of a version of Kubernetes say of manifests. */
async function schemaFaults(manifests: string, version: string): Promise<readonly [number | null, string]> {
  const file = join(folder, 'manifests.yaml');
  await writeFile(file, manifests);
  const run = spawnSync(join(folder, 'venv/bin/kubernetes-validate'), ['-k', version, '--strict', '--quiet', file], {
    encoding: 'utf8',
  });
  return [run.status, run.stdout + run.stderr];
}

/**
 * The schemas of a version as kubeconform finds them: beside each other, and by their names. @returns the folder
 */
async function schemasOf(version: string): Promise<string> {
  const packages = join(folder, 'venv/lib', (await readdir(join(folder, 'venv/lib')))[0] ?? '', 'site-packages');
  const from = join(packages, 'kubernetes_validate/kubernetes-json-schema', `v${version}-local-strict`);
  const into = join(folder, `schemas-${version}`);
  await mkdir(into);
  for (const name of await readdir(from)) {
    const schema = await readFile(join(from, name), 'utf8');
    const beside = schema.replaceAll('"/api/_definitions.json#', '"_definitions.json#');
    await writeFile(join(into, name), beside.replace(/,?\s*"\$id": "[^"]*"/, ''));
  }
  return into;
}

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

test.skipIf(GO_MISSING !== null)('all of it fits the schemas of old and new versions of Kubernetes', async () => {
  const plain = await readFile('deploy/kubernetes/antequem.yaml', 'utf8');
  const [, rendered] = helm(...RENDER, '--set', 'ingress.enabled=true', '--set', 'image.pullSecrets={one}');
  for (const version of ['1.25', '1.30', '1.34', '1.37']) {
    expect([version, ...(await schemaFaults(plain, version))]).toEqual([version, 0, '']);
    expect([version, ...(await schemaFaults(rendered, version))]).toEqual([version, 0, '']);
  }
  const [status, complaint] = await schemaFaults(plain.replaceAll('replicas:', 'replica:'), '1.34');
  expect([status, complaint]).toEqual([1, expect.stringContaining("'replica' was unexpected")]);
});

test.skipIf(GO_MISSING !== null)('kubeconform takes all of it, and no fields that the API lacks', async () => {
  const plain = await readFile('deploy/kubernetes/antequem.yaml', 'utf8');
  const [, rendered] = helm(...RENDER, '--set', 'ingress.enabled=true');
  for (const version of ['1.25.0', '1.37.0']) {
    const schemas = join(await schemasOf(version), '{{ .ResourceKind }}{{ .KindSuffix }}.json');
    const check = (input: string): readonly [number | null, string] => {
      const args = ['-strict', '-summary', '-schema-location', schemas];
      const { status, stdout } = spawnSync(join(folder, 'kubeconform'), args, { input, encoding: 'utf8' });
      return [status, stdout];
    };
    for (const [manifests, kinds] of [
      [plain, 6],
      [rendered, 7],
    ] as const) {
      expect(check(manifests)).toEqual([0, expect.stringContaining(`${kinds} resources found`)]);
      expect(check(manifests)[1]).toContain(`Valid: ${kinds}, Invalid: 0, Errors: 0, Skipped: 0`);
    }
    const [status, complaint] = check(plain.replaceAll('replicas:', 'replica:'));
    expect([status, complaint]).toEqual([1, expect.stringContaining("additional properties 'replica' not allowed")]);
  }
});
