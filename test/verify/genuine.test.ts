// Refuted means contradicted: no genuine proof is, by whatever way it is verified, and each way says what to do.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { verdictOn } from '../../src/api/verification.ts';
import { verifyCommand } from '../../src/cli/commands/verify.ts';
import { toBase64, utf8 } from '../../src/core/bytes.ts';
import { parsePolicy } from '../../src/core/policy.ts';
import type { Claim } from '../../src/core/verdict.ts';
import { verdictSchema } from '../../src/core/verdict-schema.ts';
import { nextSteps, type Trust, type Verdict, verify } from '../../src/verify/verify.ts';
import { serveChain as serveBitcoin } from '../bitcoin/chain-server.ts';
import { serveChain } from '../cli/node.ts';
import { type GenuineProof, genuineProofs } from '../support/genuine.ts';

const NOW = Date.now();
const PROOFS = genuineProofs(NOW);
const table: Record<string, string>[] = [];
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'genuine-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  console.table(table);
});

const refuted = ({ claims }: Verdict): Claim[] => claims.filter(({ status }) => status === 'refuted');

test.each(PROOFS)('$name: by the client, the API and the command line', async (genuine) => {
  const byClient = verdictSchema.parse(
    await verify({ proof: genuine.proof, payload: genuine.content }, trustOf(genuine)),
  );
  expect([byClient.result, byClient.existedBefore, refuted(byClient)]).toEqual(['unproven', null, []]);
  expect(byClient.claims.map(({ code }) => code)).toContain(genuine.code);
  expect(nextSteps(byClient).map(({ step }) => step)).toContain(genuine.step);

  const byApi = await apiVerdict(genuine);
  expect([byApi.result, refuted(byApi)]).toEqual(['unproven', []]);
  expect(byApi.claims.map(({ code }) => code)).toEqual(byClient.claims.map(({ code }) => code));

  const { code, stdout, stderr } = await commandLine(genuine);
  expect(code, stdout + stderr).toBe(2);
  expect(stdout).toMatch(/^unproven: /);
  for (const { says } of byClient.claims.filter(({ claim }) => claim !== 'anchor' && claim !== 'not-before')) {
    expect(stdout).toContain(says);
  }
  expect(stderr.trim().split('\n').length).toBe(nextSteps(byClient).length);
  const steps = nextSteps(byClient).map(({ step }) => step);
  table.push({
    proof: genuine.name,
    code: genuine.code,
    client: byClient.result,
    API: byApi.result,
    'command line': `exit ${code}`,
    'what to do': steps.join(', '),
  });
});

function trustOf({ key, policy, node, bitcoin }: GenuineProof): Trust {
  return {
    ...(key === undefined ? {} : { key }),
    ...(policy === undefined ? {} : { policy: parsePolicy(utf8(policy)) }),
    evm: node === undefined ? [] : [node],
    bitcoin: bitcoin === undefined ? [] : [bitcoin],
    now: NOW,
  };
}

async function apiVerdict({ proof, content, key, policy, node, bitcoin }: GenuineProof): Promise<Verdict> {
  const body = {
    ...(typeof proof !== 'string'
      ? { ots: toBase64(proof) }
      : proof.startsWith('{')
        ? { receipt: JSON.parse(proof) }
        : { tlogProof: proof }),
    key,
    policy,
    payload: toBase64(content),
  };
  return verdictOn(utf8(JSON.stringify(body)), {
    evm: node === undefined ? [] : [node],
    bitcoin: bitcoin === undefined ? [] : [bitcoin],
    now: NOW,
  });
}

async function commandLine(genuine: GenuineProof): Promise<{ code: unknown; stdout: string; stderr: string }> {
  const file = (name: string): string => join(folder, name);
  await writeFile(file('proof'), genuine.proof);
  await writeFile(file('content'), genuine.content);
  await writeFile(file('policy'), genuine.policy ?? '');
  const node = genuine.node === undefined ? null : await serveChain(genuine.node);
  const bitcoin = genuine.bitcoin === undefined ? null : await serveBitcoin(genuine.bitcoin.headers);
  const [stdout, stderr] = [captured(process.stdout), captured(process.stderr)];
  try {
    const args = [
      file('content'),
      file('proof'),
      ...(genuine.key === undefined ? [] : ['--key', genuine.key]),
      ...(genuine.policy === undefined ? [] : ['--policy', file('policy')]),
      ...(node === null ? [] : ['--rpc', node.url]),
      ...(bitcoin === null ? [] : ['--bitcoin', `${bitcoin.url}/api`]),
    ];
    await verifyCommand().parseAsync(args, { from: 'user' });
    return { code: process.exitCode, stdout: stdout.join(''), stderr: stderr.join('') };
  } finally {
    vi.restoreAllMocks();
    await node?.stop();
    await bitcoin?.[Symbol.asyncDispose]();
  }
}

/** What is written to the stream from now on, in place of it. */
function captured(stream: NodeJS.WriteStream): string[] {
  const texts: string[] = [];
  vi.spyOn(stream, 'write').mockImplementation((text) => texts.push(String(text)) > 0);
  return texts;
}
