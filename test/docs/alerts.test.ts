import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

const found = spawnSync('promtool', ['--version']).status === 0;
// In CI a missing promtool fails the test.
const missing = !found && process.env.CI !== 'true';
if (missing) console.warn('The alerts are not tested: promtool is not installed (apt-get install prometheus)');

interface Case {
  readonly alert: string;
  readonly series: string;
  /** Values a minute apart, in promtool's form. */
  readonly values: string;
  /** Minutes after which it is looked. */
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

const CASES: readonly Case[] = [
  { alert: 'AntequemClockSkew', series: PROCESS, values: '0 3600x5', at: 3, fires: { process: 'host:1' } },
  { alert: 'AntequemClockSkew', series: PROCESS, values: '0 -3600x5', at: 3, fires: { process: 'host:1' } },
  { alert: 'AntequemClockSkew', series: PROCESS, values: '15x5', at: 5, fires: null },
  { alert: 'AntequemClockSkew', series: 'antequem_clock_skew_seconds', values: '90x5', at: 3, fires: {} },
  { alert: 'AntequemClockJumped', series: JUMP, values: '0 172800x9 0', at: 1, fires: { process: 'host:1' } },
  { alert: 'AntequemClockJumped', series: JUMP, values: '0 -172800x9 0', at: 1, fires: { process: 'host:1' } },
  { alert: 'AntequemClockJumped', series: JUMP, values: '172800x2 0x5', at: 5, fires: null },
  {
    alert: 'AntequemClocksBehind',
    series: BEHIND,
    values: '0 1x5',
    at: 1,
    fires: { target: 'main', chain: 'eip155:1' },
  },
  { alert: 'AntequemClocksBehind', series: BEHIND, values: '1x2 0x5', at: 5, fires: null },
  { alert: 'AntequemTimesAhead', series: 'antequem_times_ahead_seconds', values: '172800x5', at: 1, fires: {} },
  { alert: 'AntequemTimesAhead', series: 'antequem_times_ahead_seconds', values: '-5x5', at: 1, fires: null },
  {
    alert: 'AntequemWitnessFork',
    series: WITNESS('witness-fork'),
    values: '1x5',
    at: 1,
    fires: { witness: 'north', code: 'witness-fork' },
  },
  {
    alert: 'AntequemWitnessFork',
    series: WITNESS('witness-ahead'),
    values: '1x5',
    at: 1,
    fires: { witness: 'north', code: 'witness-ahead' },
  },
  { alert: 'AntequemWitnessFork', series: WITNESS('witness-fails'), values: '1x5', at: 1, fires: null },
  {
    alert: 'AntequemWitnessRefuses',
    series: WITNESS('witness-refuses'),
    values: '6x30',
    at: 20,
    fires: { witness: 'north' },
  },
  { alert: 'AntequemWitnessRefuses', series: WITNESS('witness-fails'), values: '6x5 _x30', at: 20, fires: null },
  {
    alert: 'AntequemWitnessQuorumMissing',
    series: 'antequem_witness_quorum_missing',
    values: '2x30',
    at: 15,
    fires: {},
  },
  {
    alert: 'AntequemWitnessQuorumMissing',
    series: 'antequem_witness_quorum_missing',
    values: '2x5 0x30',
    at: 15,
    fires: null,
  },
  {
    alert: 'AntequemProofsMissing',
    series: PROOFS('rpc-refused'),
    values: '3x90',
    at: 80,
    fires: { target: 'main', code: 'rpc-refused' },
  },
  { alert: 'AntequemProofsMissing', series: PROOFS('rpc-failed'), values: '3x20 _x90', at: 80, fires: null },
  { alert: 'AntequemProofsMissing', series: PROOFS('header-opaque'), values: '3x90', at: 80, fires: null },
  { alert: 'AntequemChainOpaque', series: OPAQUE, values: '1x30', at: 15, fires: { target: 'main' } },
  { alert: 'AntequemChainOpaque', series: OPAQUE, values: '1x3 0x30', at: 15, fires: null },
];

test.skipIf(missing)(
  'the alerts on clocks, witnesses and proofs fire where they should, and nowhere else',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'antequem-alerts-'));
    try {
      const rules = resolve('docs/alerts.yml');
      const tests = CASES.map(({ series, values, alert, at, fires }) => ({
        interval: '1m',
        // The value and the severity stand in the rules: which alert fires is what is tested.
        promql_expr_test: [
          {
            expr: `count(ALERTS{alertname="${alert}",alertstate="firing"${Object.entries(fires ?? {})
              .map(([name, value]) => `,${name}="${value}"`)
              .join('')}}) or vector(0)`,
            eval_time: `${at}m`,
            exp_samples: [{ labels: '{}', value: fires === null ? 0 : 1 }],
          },
        ],
        input_series: [{ series, values }],
      }));
      const file = join(folder, 'tests.json');
      // JSON is YAML.
      await writeFile(file, JSON.stringify({ rule_files: [rules], evaluation_interval: '1m', tests }));
      const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', file], { encoding: 'utf8' });
      expect(`${stdout}${stderr}`).toContain('SUCCESS');
      expect(status).toBe(0);
    } finally {
      await rm(folder, { recursive: true });
    }
  },
);
