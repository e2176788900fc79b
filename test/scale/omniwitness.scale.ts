import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, test, vi } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import { parsePolicy } from '../../src/core/policy.ts';
import { setMlDsa } from '../../src/log/rotation.ts';
import { bundlePage } from '../../src/pages/bundle.ts';
import { run } from '../cli/command.ts';
import { browserMissing, openWatched, testBrowser } from '../support/browser.ts';
import { mlDsaWitness } from '../support/ml-dsa-witness.ts';
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

test.skipIf(goMissing !== null || browserMissing !== null)(
  'omniwitness with a key of ML-DSA-44: its cosignatures are stored, shown, and verified by the command line, the page and Node alone',
  async () => {
    await using witness = await Omniwitness.build('ml-dsa-44');
    await using service = await start(witness);
    // It knows the log by its own key of ML-DSA, which the list has where that is asked for.
    const { database, registry, publisher, appender, guard } = service.foundation;
    const { log } = await registry.create('a', { blinded: true });
    await setMlDsa({ database, registry, publisher, sequencing: appender.sequencing, guard }, [log], true);
    const key = String((await service.send('PUT', '/v1/logs/a')).at('mlDsaKeys', 0));
    await service.send('PUT', '/v1/logs/a/listed', { body: { listed: true } });
    await witness.know([], `${service.url}/.well-known/witness-logs?keys=ml-dsa-44`);
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
    const file = (name: string): string => join(folder, name);
    const policy = `log ${key}\nwitness W ${witness.vkey}\nquorum W\n`;
    await writeFile(file('policy'), policy);
    await writeFile(file('content'), 'to 3 0');
    const proof = await service.send('GET', '/v1/logs/a/entries/2/receipt.tlog-proof');
    await writeFile(file('content.tlog-proof'), proof.text);
    const { stdout } = await run(['verify', file('content'), file('content.tlog-proof'), '--policy', file('policy')]);
    expect(stdout).toContain('Witnesses that cosigned the checkpoint, of the 1 in the given policy: W;');
    console.log(stdout);

    await writeFile(file('checkpoint'), text);
    await writeFile(file('vkey'), witness.vkey);
    const script = fileURLToPath(new URL('../strangers/ml-dsa.mjs', import.meta.url));
    const byNode = execFileSync(process.execPath, [script, file('checkpoint'), file('vkey')], { encoding: 'utf8' });
    console.log(`Node alone: ${byNode}`);
    expect(byNode).toBe('key id as in the vkey: true, holds: true\nwith another root: false\n');

    await writeFile(file('verify.html'), await bundlePage('verify'));
    const browser = await testBrowser();
    const { page } = await openWatched(browser);
    const identity = async (trusted: string): Promise<string> => {
      await page.goto(pathToFileURL(file('verify.html')).href);
      await page.getByLabel('Choose or drop the file').setInputFiles(file('content'));
      await page.locator('.digest').waitFor();
      await page.getByText('Advanced:').click();
      await page.getByLabel('A policy').fill(trusted);
      await page.getByLabel('Choose or drop the receipt').setInputFiles(file('content.tlog-proof'));
      await page.locator('.banner .word').waitFor();
      return page.locator('.stage').nth(2).innerText();
    };
    const [verified, other] = [await identity(policy), mlDsaWitness('omniwitness.example/w').vkey];
    expect(verified).toMatch(/^Whose log it is[\s\S]*verified/i);
    expect(await identity(policy.replace(witness.vkey, other))).toMatch(/not (verified|checked)/i);
    console.log(`the page: ${verified.replaceAll('\n', ' ')}`);
    await browser.close();
    await rm(folder, { recursive: true });
  },
);
