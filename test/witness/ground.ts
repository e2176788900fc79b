import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { utf8 } from '../../src/core/bytes.ts';
import { checkCosignature, parseWitnessKey } from '../../src/core/cosignature.ts';
import { checkNote, parseNote, parseVerifierKey } from '../../src/core/note.ts';
import { type Policy, parsePolicy } from '../../src/core/policy.ts';
import type { WitnessSettings } from '../../src/witness/witnesses.ts';
import { type TestService, testService } from '../support/service.ts';
import { TestWitness, type WitnessAlgorithm } from '../support/witness.ts';

/** Witnesses that are up, and services that ask them. */
export class WitnessGround implements AsyncDisposable {
  readonly witnesses: TestWitness[] = [];
  readonly #folder: string;
  readonly #services: TestService[] = [];

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async open(): Promise<WitnessGround> {
    return new WitnessGround(await mkdtemp(join(tmpdir(), 'antequem-witness-')));
  }

  async witness(name: string, algorithm: WitnessAlgorithm = 'ed25519'): Promise<TestWitness> {
    const witness = await new TestWitness(name, join(this.#folder, name.replaceAll('/', '-')), algorithm).start();
    this.witnesses.push(witness);
    return witness;
  }

  /** A policy over all witnesses there are: `all`, `any`, a number, or none of them needed. */
  policy(needed: string, logs: readonly string[] = []): Policy {
    const lines = this.witnesses.map(({ vkey, url }, i) => `witness W${i} ${vkey} ${url}`);
    const group = `group G ${needed} ${this.witnesses.map((_, i) => `W${i}`).join(' ')}`;
    const quorum = needed === 'none' ? ['quorum none'] : [group, 'quorum G'];
    return parsePolicy(utf8([...logs.map((vkey) => `log ${vkey}`), ...lines, ...quorum, ''].join('\n')));
  }

  /** A service that asks the witnesses; with the seed of another it is that one's fork. */
  async service(settings: Partial<WitnessSettings>, fork: TestService | null = null): Promise<TestService> {
    const witnesses: WitnessSettings = {
      policy: this.policy('all'),
      timeout: 20_000,
      interval: 60_000,
      missing: 'publish',
      ...settings,
    };
    const seed = fork === null ? {} : { logSeedFile: fork.config.logSeedFile };
    const service = await testService({ config: { witnesses, ...seed } });
    this.#services.push(service);
    return service;
  }

  /** Makes a log of which all witnesses are told. */
  async log(service: TestService, name: string): Promise<string> {
    const vkey = String((await service.send('PUT', `/v1/logs/${name}`)).at('verifierKey'));
    for (const witness of this.witnesses) witness.know(vkey);
    return vkey;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.witnesses.map((witness) => witness.stop()));
    for (const service of this.#services) await service[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true });
  }
}

export async function append(service: TestService, log: string, count: number, label = 'entry'): Promise<void> {
  const body = Array.from({ length: count }, (_, i) => `${label} ${i}`).join('\n');
  const { status, text } = await service.send('POST', `/v1/logs/${log}/entries?split=lines`, { body });
  if (status !== 201) throw new Error(text);
}

/** What is published: the size, and which of the witnesses cosigned it. Throws where the log's own signature fails. */
export async function published(
  service: TestService,
  log: string,
  vkey: string,
  witnesses: readonly TestWitness[],
): Promise<{ size: number; by: string[] }> {
  const { status, text } = await service.send('GET', `/logs/${log}/checkpoint`);
  if (status !== 200) throw new Error(text);
  const note = parseNote(text);
  if (checkNote(note, parseVerifierKey(vkey)) !== 'verified') throw new Error(`not signed by the log: ${text}`);
  const by = witnesses.filter(({ vkey }) => checkCosignature(note, parseWitnessKey(vkey)).status === 'verified');
  if (note.signatures.length !== 1 + by.length) throw new Error(`signatures of nobody: ${text}`);
  return { size: Number(note.text.split('\n')[1]), by: by.map(({ name }) => name) };
}
