// The dashboard and the alert rules ask for metrics, by labels, that a real service shows; the docs describe each of them.

import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { CLOSE, noteRun } from '../../src/anchor/jobs.ts';
import { recordPass } from '../../src/archive/passes.ts';
import { reportChainTime } from '../../src/clock/reports.ts';
import { type TestService, testService } from '../support/service.ts';
import { append, WitnessGround } from '../witness/ground.ts';

const found = spawnSync('promtool', ['--version']).status === 0;
// In CI a missing promtool fails the test.
const noPromtool = !found && process.env.CI !== 'true';

const grafana = new URL('../../deploy/grafana/', import.meta.url);
const dashboardForm = z.object({
  panels: z.array(
    z.object({
      id: z.int(),
      type: z.string(),
      title: z.string().min(1),
      gridPos: z.object({ x: z.int(), y: z.int(), w: z.int(), h: z.int() }),
      targets: z.array(z.object({ expr: z.string().min(1), legendFormat: z.string() })).optional(),
    }),
  ),
});
const dashboard = dashboardForm.parse(JSON.parse(await readFile(new URL('dashboard.json', grafana), 'utf8')));
const queries = dashboard.panels.flatMap(({ targets = [] }) => targets);
/** As Grafana fills them in. */
const expressions = queries.map(({ expr }) => expr.replaceAll('$__rate_interval', '5m').replaceAll('$job', '.*'));
const alerts = await readFile(new URL('alerts.yml', grafana), 'utf8');
const rules = [...alerts.matchAll(/^ +expr: (?:>-\n)?((?:.|\n)+?)(?=^ +(?:for|labels):)/gm)].map(
  ([, expression = '']) => expression,
);

/** Labels that a scrape adds, or that a histogram has. */
const ADDED = ['job', 'instance', 'le'];
const METRIC = /\b(?:antequem|process|nodejs)_[a-z0-9_]+/g;
const nameOf = (metric: string): string => metric.replace(/_bucket$/, '');

let ground: WitnessGround;
let service: TestService;
/** By metric the labels that it was shown with. */
const shown = new Map<string, Set<string>>();

beforeAll(async () => {
  ground = await WitnessGround.open();
  await ground.witness('north.test/w');
  const witnesses = { policy: ground.policy('all'), timeout: 100, interval: 60_000, missing: 'publish' } as const;
  const ots = { name: 'bitcoin', calendars: [], minCalendars: 1, ephemeral: false };
  const bitcoin = {
    chain: 'bip122:0',
    rpcUrls: ['http://127.0.0.1:1'],
    esploraUrls: [],
    cookieFile: null,
    confirmations: 6,
  };
  service = await testService({ config: { witnesses, ots, bitcoin } });
  await happenings();
  const { text } = await service.send('GET', '/metrics');
  for (const [, metric = '', labels = ''] of text.matchAll(/^([a-z0-9_]+)(?:\{(.*)\})? /gm)) {
    const known = shown.get(nameOf(metric)) ?? new Set();
    for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) known.add(label);
    shown.set(nameOf(metric), known);
  }
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
  await ground[Symbol.asyncDispose]();
});

/** What has the service show every metric that it has. */
async function happenings(): Promise<void> {
  const { database } = service.foundation;
  await service.send('PUT', '/v1/logs/demo');
  await append(service, 'demo', 2);
  await service.closeRound();
  // The witness was not told of the log.
  await service.send('GET', '/logs/demo/checkpoint');
  await service.send('POST', '/v1/logs/unknown/entries', { body: 'refused' });
  const sender = { name: 'sender', log: 'demo', scheme: 'github' };
  const source = String((await service.send('POST', '/v1/sources', { body: sender })).at('path'));
  await service.send('POST', source, { body: 'not signed' });
  await service.send('POST', '/v1/logs/demo/entries?split=lines', { body: 'x'.repeat((1 << 20) + 1) });
  const odd = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/x', 'ce-type': 'y', 'ce-subject': '%ff' };
  await service.send('POST', '/v1/logs/demo/ingest/cloudevents', { headers: odd });
  await database.query(
    `INSERT INTO targets (name, kind, chain, contract, mode, ephemeral, first_round, created_at)
     VALUES ('main', 'evm', 'eip155:1', '0x' || repeat('ab', 20), 'anchor', false, 1, 0),
            ('bitcoin', 'opentimestamps', 'bip122:0', NULL, NULL, false, 1, 0),
            ('north', 'rfc3161', 'rfc3161:north', NULL, NULL, false, 1, 0)`,
  );
  await database.query(
    `INSERT INTO evm_accounts (chain, address, target, created_at, balance, balance_low, balance_at)
     VALUES ('eip155:1', '0x' || repeat('cd', 20), 'main', 0, 1, true, 0)`,
  );
  await database.query("INSERT INTO tsa_authorities (target) VALUES ('north')");
  await database.query(
    `INSERT INTO anchors (target, kind, round, created_at, updated_at)
     VALUES ('main', 'evm', 1, 0, 0), ('bitcoin', 'opentimestamps', 1, 0, 0)`,
  );
  await database.query(
    `INSERT INTO evm_evidence (target, round, block_hash, transaction, attempts, problem, code, stored_at)
     VALUES ('main', 1, decode(repeat('ab', 32), 'hex'), decode(repeat('ab', 32), 'hex'), 1, 'no', 'rpc-failed', 0)`,
  );
  await database.query(
    `INSERT INTO ots_requests (target, round, kind, calendar, message, created_at, next_at)
     VALUES ('bitcoin', 1, 'submit', 'https://a.example', '\\x00', 0, 0)`,
  );
  await service.foundation.sources.create({
    name: 'pulled',
    log: 'demo',
    scheme: 'hoop-audit',
    settings: { url: 'http://127.0.0.1:1' },
    secret: 'a-token-of-the-api',
  });
  await noteRun(database, CLOSE.id);
  await recordPass(database, 'public', 1, 0);
  await reportChainTime(database, { subject: 'main', chain: 'eip155:1', time: 0 });
}

test('every panel and every rule asks for metrics and labels that there are', () => {
  expect(expressions.length).toBeGreaterThan(30);
  expect(rules.length).toBe(alerts.match(/- alert:/g)?.length);
  const asked = [...expressions, ...rules].flatMap((expression) => expression.match(METRIC) ?? []).map(nameOf);
  expect([...new Set(asked)].filter((metric) => !shown.has(metric))).toEqual([]);
  const strange = [...expressions, ...rules].flatMap((expression) => {
    const metrics = (expression.match(METRIC) ?? []).map(nameOf);
    const labels = [...expression.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/, */));
    const matched = [...expression.matchAll(/(\w+)(?:=~|!~|!=|=)"/g)].map(([, label = '']) => label);
    return [...labels, ...matched].filter(
      (label) => !ADDED.includes(label) && !metrics.some((metric) => shown.get(metric)?.has(label)),
    );
  });
  expect(strange).toEqual([]);
});

test('the dashboard shows every metric of the service', () => {
  const drawn = new Set(expressions.flatMap((expression) => expression.match(METRIC) ?? []).map(nameOf));
  expect(ourMetrics().filter((metric) => !drawn.has(metric))).toEqual([]);
});

test('docs/monitoring.md describes every metric of the service, and no other', async () => {
  const docs = await readFile(new URL('../../docs/monitoring.md', import.meta.url), 'utf8');
  const described = new Set(docs.match(/\bantequem_[a-z0-9_]+/g)?.map(nameOf));
  expect([...described].sort()).toEqual(ourMetrics().sort());
});

const ourMetrics = (): string[] =>
  [...shown.keys()].filter((metric) => /^antequem_/.test(metric) && !/_(sum|count)$/.test(metric));

test('legends name labels that their query keeps, and panels do not cover each other', () => {
  for (const { expr, legendFormat } of queries) {
    const kept = /\bby \(([^)]*)\)/.exec(expr)?.[1]?.split(/, */) ?? [];
    const named = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label);
    const [metric = ''] = expr.match(METRIC) ?? [];
    const all = / by \(/.test(expr) ? kept : [...ADDED, ...(shown.get(nameOf(metric)) ?? [])];
    expect([expr, named.filter((label) => !all.includes(label))]).toEqual([expr, []]);
  }
  const { panels } = dashboard;
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, i) => `${x + (i % w)} ${y + Math.floor(i / w)}`),
  );
  expect(new Set(cells).size).toBe(cells.length);
  expect(Math.max(...panels.map(({ gridPos: { x, w } }) => x + w))).toBeLessThanOrEqual(24);
});

test.skipIf(noPromtool)('every query of the dashboard is PromQL', async () => {
  const file = {
    groups: [{ name: 'dashboard', rules: expressions.map((expr, i) => ({ record: `panel:${i}`, expr })) }],
  };
  const folder = await mkdtemp(join(tmpdir(), 'antequem-dashboard-'));
  // JSON is YAML.
  await writeFile(join(folder, 'rules.json'), JSON.stringify(file));
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', join(folder, 'rules.json')], {
    encoding: 'utf8',
  });
  await rm(folder, { recursive: true });
  expect([status, stdout + stderr]).toEqual([0, expect.stringContaining(`${expressions.length} rules found`)]);
});
