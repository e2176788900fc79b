import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { type Series, servicesInOrdinaryOperation } from './quiet-series.ts';

const RULES = resolve('deploy/grafana/alerts.yml');
const found = spawnSync('promtool', ['--version']).status === 0;
// In CI a missing promtool fails the test.
const missing = !found && process.env.CI !== 'true';
if (missing) console.warn('The alerts are not tested: promtool is not installed (apt-get install prometheus)');

interface Case {
  readonly alert: string;
  /** By series its values a minute apart, in promtool's form. */
  readonly given: Series;
  /** Minutes after which the alert is looked at. */
  readonly at: number;
  /** Labels of the alert that fires; null: none does. */
  readonly fires: Readonly<Record<string, string>> | null;
}

const PROCESS = 'antequem_process_clock_ahead_seconds{process="host:1"}';
const JUMP = 'antequem_process_clock_jump_seconds{process="host:1"}';
const BEHIND = 'antequem_chain_shows_clocks_behind{target="main",chain="eip155:1"}';
const OPAQUE = 'antequem_chain_opaque{target="main",chain="eip155:25"}';
const PROOFS = (code: string) => `antequem_anchors_without_proof{target="main",chain="eip155:1",code="${code}"}`;
const WITNESS = (code: string) => `antequem_witness_problems{witness="north",code="${code}"}`;
const DOWN = 'antequem_database_up{job="a",instance="1"}';
const INTERVAL = 'antequem_round_interval_seconds';
const AUTHORITY = 'antequem_authority_failing_seconds{target="north"}';
const ARCHIVE = 'antequem_archive_failing_seconds{archive="private"}';
const PULLED = 'antequem_pull_failures{source="snyk"}';
const UNROUNDED = 'antequem_unrounded_oldest_seconds';
const USUAL = 'antequem_anchor_usual_seconds{target="main"}';
const LATE = 'antequem_anchor_oldest_seconds{target="main"}';
const REORGANIZATIONS = 'antequem_reorganisations{target="main"}';
const REFUSED = 'antequem_refused_requests_total{job="a",instance="1",way="entries",code="forbidden"}';
const SET_ASIDE = 'antequem_set_aside_total{job="a",instance="1",way="otlp",reason="too-deep"}';
const STARTED = 'process_start_time_seconds{job="a",instance="1"}';
const CALENDAR = (metric: string) => `antequem_calendar_${metric}{target="bitcoin",calendar="https://a.example"}`;
const TWO_PROCESSES = (metric: string, values: string): Series => ({
  [`${metric}{job="a",instance="1"}`]: values,
  [`${metric}{job="a",instance="2"}`]: values,
});

const SOURCE = (outcome: string) => `antequem_source_requests_total{job="a",source="hoop",outcome="${outcome}"}`;

const CASES: readonly Case[] = [
  {
    alert: 'AntequemSourceRefused',
    given: { [SOURCE('signature-invalid')]: '1 1x5 9x20' },
    at: 12,
    fires: { source: 'hoop', outcome: 'signature-invalid' },
  },
  { alert: 'AntequemSourceRefused', given: { [SOURCE('signature-late')]: '1 3x30' }, at: 12, fires: null },
  { alert: 'AntequemSourceRefused', given: { [SOURCE('logged')]: '0+100x30' }, at: 12, fires: null },
  { alert: 'AntequemDown', given: {}, at: 5, fires: {} },
  { alert: 'AntequemDown', given: { [DOWN]: '1x2 0x9' }, at: 6, fires: { job: 'a' } },
  {
    alert: 'AntequemDown',
    given: { [DOWN]: '1x9', 'antequem_database_up{job="a",instance="2"}': '0x9' },
    at: 6,
    fires: null,
  },
  {
    alert: 'AntequemUnanchored',
    given: { antequem_unanchored_oldest_seconds: '5600x20', [INTERVAL]: '60x20', [USUAL]: '900x20' },
    at: 15,
    fires: {},
  },
  {
    alert: 'AntequemTargetStopped',
    given: TWO_PROCESSES('antequem_target_stopped', '1x3'),
    at: 1,
    fires: { job: 'a' },
  },
  { alert: 'AntequemAnchorLate', given: { [LATE]: '5500x20', [USUAL]: '900x20' }, at: 15, fires: { target: 'main' } },
  { alert: 'AntequemAnchorLate', given: { [LATE]: '5500x20', [USUAL]: '10800x20' }, at: 15, fires: null },
  {
    alert: 'AntequemBalanceLow',
    given: { 'antequem_balance_low{target="main"}': '1x9' },
    at: 7,
    fires: { target: 'main' },
  },
  { alert: 'AntequemReorganisation', given: { [REORGANIZATIONS]: '2x30 3x30' }, at: 40, fires: { target: 'main' } },
  { alert: 'AntequemReorganisation', given: { [REORGANIZATIONS]: '7x30 2x30' }, at: 40, fires: null },
  { alert: 'AntequemRoundsStalled', given: { [UNROUNDED]: '730x9', [INTERVAL]: '60x9' }, at: 7, fires: {} },
  { alert: 'AntequemRoundsStalled', given: { [UNROUNDED]: '730x9', [INTERVAL]: '3600x9' }, at: 7, fires: null },
  {
    alert: 'AntequemCommitsSlow',
    given: {
      'antequem_commit_seconds_bucket{le="1"}': '0+10x20',
      'antequem_commit_seconds_bucket{le="2"}': '0+20x20',
      'antequem_commit_seconds_bucket{le="+Inf"}': '0+20x20',
    },
    at: 18,
    fires: {},
  },
  { alert: 'AntequemFailures', given: { 'antequem_http_requests_total{status="5xx"}': '0+30x20' }, at: 12, fires: {} },
  { alert: 'AntequemAppendsRefused', given: { [REFUSED]: '1x9 2x9' }, at: 12, fires: { code: 'forbidden' } },
  {
    alert: 'AntequemAppendsRefused',
    given: { [REFUSED]: '_x60 1x9', [DOWN]: '1x70', [STARTED]: '-9000x70' },
    at: 62,
    fires: { code: 'forbidden' },
  },
  {
    alert: 'AntequemAppendsRefused',
    given: { [REFUSED]: '_x3 1x9', [DOWN]: '_x2 1x9', [STARTED]: '_x2 120x9' },
    at: 4,
    fires: { code: 'forbidden' },
  },
  { alert: 'AntequemSetAside', given: { [SET_ASIDE]: '1x9 2x9' }, at: 12, fires: { reason: 'too-deep' } },
  { alert: 'AntequemQueueAway', given: TWO_PROCESSES('antequem_queue_up', '0x9'), at: 7, fires: { job: 'a' } },
  {
    alert: 'AntequemScheduleStalled',
    given: { antequem_schedule_age_seconds: '430x9', [INTERVAL]: '60x9' },
    at: 7,
    fires: {},
  },
  {
    alert: 'AntequemCalendarSilent',
    given: { [CALENDAR('failing')]: '2x90', [CALENDAR('oldest_seconds')]: '86500+60x90' },
    at: 80,
    fires: { target: 'bitcoin' },
  },
  { alert: 'AntequemPullFails', given: { [PULLED]: '7x60' }, at: 45, fires: { source: 'snyk' } },
  { alert: 'AntequemPullFails', given: { [PULLED]: '7x20 0x60' }, at: 45, fires: null },
  {
    alert: 'AntequemAuthoritySilent',
    given: { [AUTHORITY]: '3601+60x20' },
    at: 12,
    fires: { target: 'north' },
  },
  { alert: 'AntequemAuthoritySilent', given: { [AUTHORITY]: '0+60x40 0x40' }, at: 70, fires: null },
  { alert: 'AntequemArchiveFails', given: { [ARCHIVE]: '3601+60x20' }, at: 12, fires: { archive: 'private' } },
  { alert: 'AntequemArchiveFails', given: { [ARCHIVE]: '0+60x40 0x40' }, at: 70, fires: null },
  {
    alert: 'AntequemRetentionOverdue',
    given: { antequem_retention_overdue_seconds: '21601+60x20' },
    at: 12,
    fires: {},
  },
  { alert: 'AntequemRetentionOverdue', given: { antequem_retention_overdue_seconds: '0+300x70' }, at: 65, fires: null },
  { alert: 'AntequemHoldsUnconfirmed', given: { antequem_holds_unconfirmed: '1x90' }, at: 65, fires: {} },
  { alert: 'AntequemHoldsUnconfirmed', given: { antequem_holds_unconfirmed: '1x30 0x60' }, at: 65, fires: null },
  {
    alert: 'AntequemWebhooksDead',
    given: { 'antequem_webhook_deliveries{state="dead"}': '1x3' },
    at: 1,
    fires: {},
  },
  { alert: 'AntequemClockSkew', given: { [PROCESS]: '0 3600x5' }, at: 3, fires: { process: 'host:1' } },
  { alert: 'AntequemClockSkew', given: { [PROCESS]: '0 -3600x5' }, at: 3, fires: { process: 'host:1' } },
  { alert: 'AntequemClockSkew', given: { [PROCESS]: '15x5' }, at: 5, fires: null },
  { alert: 'AntequemClockSkew', given: { antequem_clock_skew_seconds: '90x5' }, at: 3, fires: {} },
  { alert: 'AntequemClockJumped', given: { [JUMP]: '0 172800x9 0' }, at: 1, fires: { process: 'host:1' } },
  { alert: 'AntequemClockJumped', given: { [JUMP]: '0 -172800x9 0' }, at: 1, fires: { process: 'host:1' } },
  { alert: 'AntequemClockJumped', given: { [JUMP]: '172800x2 0x5' }, at: 5, fires: null },
  { alert: 'AntequemClocksBehind', given: { [BEHIND]: '0 1x5' }, at: 1, fires: { target: 'main', chain: 'eip155:1' } },
  { alert: 'AntequemClocksBehind', given: { [BEHIND]: '1x2 0x5' }, at: 5, fires: null },
  { alert: 'AntequemTimesAhead', given: { antequem_times_ahead_seconds: '172800x5' }, at: 1, fires: {} },
  { alert: 'AntequemTimesAhead', given: { antequem_times_ahead_seconds: '-5x5' }, at: 1, fires: null },
  {
    alert: 'AntequemWitnessFork',
    given: { [WITNESS('witness-fork')]: '1x5' },
    at: 1,
    fires: { witness: 'north', code: 'witness-fork' },
  },
  {
    alert: 'AntequemWitnessFork',
    given: { [WITNESS('witness-ahead')]: '1x5' },
    at: 1,
    fires: { witness: 'north', code: 'witness-ahead' },
  },
  { alert: 'AntequemWitnessFork', given: { [WITNESS('witness-fails')]: '1x5' }, at: 1, fires: null },
  {
    alert: 'AntequemWitnessRefuses',
    given: { [WITNESS('witness-refuses')]: '6x30' },
    at: 20,
    fires: { witness: 'north' },
  },
  { alert: 'AntequemWitnessRefuses', given: { [WITNESS('witness-fails')]: '6x5 _x30' }, at: 20, fires: null },
  { alert: 'AntequemWitnessQuorumMissing', given: { antequem_witness_quorum_missing: '2x30' }, at: 15, fires: {} },
  {
    alert: 'AntequemWitnessQuorumMissing',
    given: { antequem_witness_quorum_missing: '2x5 0x30' },
    at: 15,
    fires: null,
  },
  {
    alert: 'AntequemProofsMissing',
    given: { [PROOFS('rpc-refused')]: '3x90' },
    at: 80,
    fires: { target: 'main', code: 'rpc-refused' },
  },
  { alert: 'AntequemProofsMissing', given: { [PROOFS('rpc-failed')]: '3x20 _x90' }, at: 80, fires: null },
  { alert: 'AntequemProofsMissing', given: { [PROOFS('header-opaque')]: '3x90' }, at: 80, fires: null },
  { alert: 'AntequemChainOpaque', given: { [OPAQUE]: '1x30' }, at: 15, fires: { target: 'main' } },
  { alert: 'AntequemChainOpaque', given: { [OPAQUE]: '1x3 0x30' }, at: 15, fires: null },
];

interface RuleTest {
  readonly given: Series;
  readonly expression: string;
  /** Minutes. */
  readonly at: number;
  readonly value: number;
}

/** What promtool says to expressions over series; `step`: minutes between two values. */
async function promtool(tests: readonly RuleTest[], step = 1): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'antequem-alerts-'));
  try {
    const file = join(folder, 'tests.json');
    // JSON is YAML.
    const written = tests.map(({ given, expression, at, value }) => ({
      interval: `${step}m`,
      input_series: Object.entries(given).map(([series, values]) => ({ series, values })),
      promql_expr_test: [{ expr: expression, eval_time: `${at}m`, exp_samples: [{ labels: '{}', value }] }],
    }));
    await writeFile(file, JSON.stringify({ rule_files: [RULES], evaluation_interval: `${step}m`, tests: written }));
    const { stdout, stderr } = spawnSync('promtool', ['test', 'rules', file], { encoding: 'utf8' });
    return `${stdout}${stderr}`;
  } finally {
    await rm(folder, { recursive: true });
  }
}

test.skipIf(missing)('promtool takes the rules', () => {
  const { status, stderr } = spawnSync('promtool', ['check', 'rules', RULES], { encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, expect.not.stringContaining('error')]);
});

test.skipIf(missing)('each alert fires where it should, and not beside', async () => {
  const rules = await readFile(RULES, 'utf8');
  const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
  expect(new Set(CASES.flatMap(({ alert, fires }) => (fires === null ? [] : [alert])))).toEqual(new Set(alerts));
  const tests = CASES.map(({ alert, given, at, fires }) => {
    const labels = Object.entries({ alertname: alert, alertstate: 'firing', ...fires });
    const selector = labels.map(([name, value]) => `${name}="${value}"`).join(',');
    return { given, at, expression: `count(ALERTS{${selector}}) or vector(0)`, value: fires === null ? 0 : 1 };
  });
  expect(await promtool(tests)).toContain('SUCCESS');
});

test.skipIf(missing)('none fires in a day and a half of ordinary operation', async () => {
  const { given, step, minutes } = servicesInOrdinaryOperation();
  const fired = `count(last_over_time(ALERTS{alertstate="firing"}[${minutes}m])) or vector(0)`;
  expect(await promtool([{ given, at: minutes, expression: fired, value: 0 }], step)).toContain('SUCCESS');
});
