import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import { parsePolicy } from '../../src/core/policy.ts';
import { run } from '../cli/command.ts';
import { goMissing, Omniwitness } from '../support/omniwitness.ts';
import { type TestService, testService } from '../support/service.ts';
import { append } from '../witness/ground.ts';

const LOGS = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];

async function start(witness: Omniwitness, fork: TestService | null = null): Promise<TestService> {
  const policy = parsePolicy(utf8(`witness W ${witness.vkey} ${witness.url}\nquorum W\n`));
  const witnesses = { policy, timeout: 10_000, interval: 1_000, missing: 'publish' } as const;
  return testService({ config: { witnesses, ...(fork === null ? {} : { logSeedFile: fork.config.logSeedFile }) } });
}

const cosigned = async (service: TestService, log: string): Promise<string> => {
  const { text } = await service.send('GET', `/logs/${log}/checkpoint`);
  return text.includes('— omniwitness.example/w ') ? `${text.split('\n')[1]} cosigned` : `${text.split('\n')[1]} alone`;
};

const told = async (service: TestService): Promise<string> => {
  const ready = await service.send('GET', '/readyz');
  const { text } = await service.send('GET', '/metrics');
  const gauges = text.split('\n').filter((line) => /^antequem_witness/.test(line));
  return [...[ready.at('notices')].flat().map(String), ...gauges].filter((line) => line.includes('witness')).join('\n');
};

test.skipIf(goMissing !== null)(
  'omniwitness: one log known of seven is cosigned at every append, and a fork is told until it is resolved',
  async () => {
    await using witness = await Omniwitness.build();
    await using service = await start(witness);
    const keys = await Promise.all(
      LOGS.map(async (log) => String((await service.send('PUT', `/v1/logs/${log}`)).at('verifierKey'))),
    );
    await witness.know(keys.slice(0, 1));
    for (const log of LOGS) await append(service, log, 1);
    for (let size = 2; size <= 21; size++) {
      await append(service, 'a', 1, `to ${size}`);
      await Promise.all(LOGS.slice(1).map((log) => cosigned(service, log)));
      expect(await cosigned(service, 'a')).toBe(`${size} cosigned`);
    }
    await vi.waitFor(async () => expect(await told(service)).toMatch(/antequem_witness_problems\{.*\} 6/), 15_000);
    console.log(`20 appends to the one log that it knows: 20 cosigned\n${await told(service)}`);

    // A second database with the same keys: a fork at one size, while another log is cosigned.
    await witness.know(keys.slice(0, 2));
    await using other = await start(witness, service);
    for (const log of ['a', 'b']) await other.send('PUT', `/v1/logs/${log}`);
    await append(other, 'a', 21, 'another history');
    expect(await cosigned(other, 'a')).toBe('21 alone');
    for (let size = 1; size <= 5; size++) {
      await append(other, 'b', 1, `to ${size}`);
      expect(await cosigned(other, 'b')).toBe(`${size} cosigned`);
    }
    await vi.waitFor(async () => expect(await told(other)).toContain('code="witness-fork"} 1'), 15_000);
    const fork = await told(other);
    expect(fork).toContain('the witness W does not cosign log.test/logs/a: ');
    expect(fork).not.toContain('log.test/logs/b: ');
    console.log(fork);

    // Resolved: the copy of the witness was the wrong one.
    await witness.forget();
    await witness.know(keys.slice(0, 2));
    await vi.waitFor(
      async () => {
        await append(other, 'a', 1, 'more');
        expect(await cosigned(other, 'a')).toContain('cosigned');
      },
      { timeout: 120_000, interval: 2_000 },
    );
    await vi.waitFor(async () => expect(await told(other)).not.toContain('witness-fork'), 15_000);
  },
);

test.skipIf(goMissing !== null)(
  'omniwitness with a key of ML-DSA-44: its cosignatures are stored, shown, and verified by the command line',
  async () => {
    await using witness = await Omniwitness.build('ml-dsa-44');
    await using service = await start(witness);
    const key = String((await service.send('PUT', '/v1/logs/a')).at('verifierKey'));
    await service.send('PUT', '/v1/logs/a/listed', { body: { listed: true } });
    await witness.know([], `${service.url}/.well-known/witness-logs`);
    for (let size = 1; size <= 3; size++) {
      await append(service, 'a', 1, `to ${size}`);
      // The list is read after the witness has begun to answer.
      const check = async (): Promise<void> => expect(await cosigned(service, 'a')).toBe(`${size} cosigned`);
      await vi.waitFor(check, { timeout: 120_000, interval: 1_000 });
    }
    const { text } = await service.send('GET', '/logs/a/checkpoint');
    const { length = 0 } = / ([A-Za-z0-9+/=]+)\n$/.exec(text)?.[1] ?? '';
    console.log(`cosigned to 3 by a key of ${witness.vkey.length} characters; the line's base64 has ${length}`);
    const folder = await mkdtemp(join(tmpdir(), 'antequem-ml-dsa-'));
    const policy = join(folder, 'policy');
    await writeFile(policy, `log ${key}\nwitness W ${witness.vkey}\nquorum W\n`);
    await writeFile(join(folder, 'content'), 'to 3 0');
    const proof = await service.send('GET', '/v1/logs/a/entries/2/receipt.tlog-proof');
    await writeFile(join(folder, 'content.tlog-proof'), proof.text);
    const files = ['content', 'content.tlog-proof'].map((name) => join(folder, name));
    const { stdout } = await run(['verify', ...files, '--policy', policy]);
    expect(stdout).toContain('Witnesses that cosigned the checkpoint, of the 1 in the given policy: W;');
    console.log(stdout);
    await rm(folder, { recursive: true });
  },
);
