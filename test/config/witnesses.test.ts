import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { formatWitnessKey } from '../../src/core/cosignature.ts';

const folder = mkdtempSync(join(tmpdir(), 'antequem-policy-'));
afterAll(() => rmSync(folder, { recursive: true }));

const FILE = join(folder, 'policy');
const LEAST = { DATABASE_URL: 'postgres:///antequem', ORIGIN: 'log.example.org', LOG_SEED_FILE: '/run/secrets/seed' };
const north = formatWitnessKey('north.example', new Uint8Array(32).fill(1));
const south = formatWitnessKey('south.example', new Uint8Array(32).fill(2));

const read = (policy: string, env: Record<string, string> = {}) => {
  writeFileSync(FILE, policy);
  return readConfig({ ...LEAST, WITNESS_POLICY_FILE: FILE, ...env });
};

function faultsOf(policy: string | null, env: Record<string, string> = {}): string[] {
  try {
    if (policy === null) readConfig({ ...LEAST, ...env });
    else read(policy, env);
    return [];
  } catch (error) {
    return (error instanceof Error ? error.message : '').split('\n  ').slice(1);
  }
}

describe('the settings of witnesses', () => {
  it('are none by default', () => {
    expect(readConfig(LEAST).witnesses).toBeNull();
  });

  it('come from a policy, with defaults', () => {
    const { witnesses } = read(`witness north ${north} https://north.example/w/\nquorum north\n`);
    expect(witnesses).toMatchObject({ timeout: 2_000, interval: 30_000, missing: 'publish' });
    expect(witnesses?.policy.witnesses).toMatchObject([{ name: 'north', url: 'https://north.example/w/' }]);
  });

  it('are all read', () => {
    const env = { WITNESS_TIMEOUT: '500ms', WITNESS_INTERVAL: '1m', WITNESS_MISSING: 'hold' };
    expect(read('quorum none\n', env).witnesses).toMatchObject({ timeout: 500, interval: 60_000, missing: 'hold' });
  });

  it('need a policy', () => {
    expect(faultsOf(null, { WITNESS_TIMEOUT: '1s', WITNESS_MISSING: 'hold' })).toEqual([
      'WITNESS_POLICY_FILE: must be set beside WITNESS_TIMEOUT, WITNESS_MISSING',
    ]);
  });

  it.each([
    ['', 'there is no quorum line; write `quorum none` to need no witness'],
    [`witness north x\nquorum none\n`, 'line 1: not a verifier key (name+8 hex digits+base64): "x"'],
  ])('name what is wrong with the policy: %j', (policy, says) => {
    expect(faultsOf(policy)).toEqual([`WITNESS_POLICY_FILE: ${FILE}, ${says}`]);
  });

  it('ask for URLs where checkpoints are to be offered', () => {
    expect(faultsOf(`witness north ${north} ftp://north.example\nquorum none\n`)).toEqual([
      `WITNESS_POLICY_FILE: ${FILE}: the URL of the witness north is none with http:// or https://`,
    ]);
    const two = `witness north ${north}\nwitness south ${south} http://south.example\n`;
    expect(faultsOf(`${two}group G all north south\nquorum G\n`)).toEqual([
      `WITNESS_POLICY_FILE: ${FILE}: the quorum cannot be reached: too few of its witnesses have a URL, where checkpoints are offered, and a key of a type that can be checked (0x04 Ed25519, 0x06 ML-DSA-44)`,
    ]);
    expect(faultsOf(`${two}group G any north south\nquorum G\n`)).toEqual([]);
  });

  it('tell that the file cannot be read, with all other faults', () => {
    const faults = faultsOf(null, { WITNESS_POLICY_FILE: join(folder, 'nowhere'), WITNESS_TIMEOUT: 'soon', PORT: 'x' });
    expect(faults).toEqual([
      'PORT: not a port: 0 to 65535, 0 for any free one',
      'WITNESS_TIMEOUT: not a duration: write 500ms, 30s, 10m or 24h',
      expect.stringMatching(/^WITNESS_POLICY_FILE: \/.*\/nowhere cannot be read: ENOENT/),
    ]);
  });
});
