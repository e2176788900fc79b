// Writes src/evm/anchor-artifact.json from a fresh build of contracts/Anchor.sol; with --check it only compares.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { getCreate2Address, keccak256 } from 'ethers';
import { createHardhatRuntimeEnvironment } from 'hardhat/hre';
import { z } from 'zod';
import config from '../hardhat.config.ts';

const ROOT = resolve(import.meta.dirname, '..');
const FACTORY = '0x4e59b44847b379578588920cA78FbF26c0B4956C';
const SALT = `0x${'00'.repeat(32)}`;

/** What of the compiler's input decides the bytes. */
const buildInfoSchema = z.object({
  solcLongVersion: z.string(),
  input: z.object({
    settings: z.object({ evmVersion: z.string(), optimizer: z.unknown(), viaIR: z.boolean(), metadata: z.unknown() }),
  }),
});

export const ARTIFACT_FILE = join(ROOT, 'src/evm/anchor-artifact.json');

/** The text that src/evm/anchor-artifact.json must have. Builds in a folder of its own: no cache has a say. */
export async function buildArtifact(): Promise<string> {
  const scratch = await mkdtemp(join(tmpdir(), 'antequem-build-'));
  try {
    const paths = { ...config.paths, artifacts: join(scratch, 'artifacts'), cache: join(scratch, 'cache') };
    const hre = await createHardhatRuntimeEnvironment({ ...config, paths }, {}, ROOT);
    await hre.tasks.getTask('build').run({ force: true, quiet: true, noTests: true });
    const built = await hre.artifacts.readArtifact('Anchor');
    const buildInfoId = await hre.artifacts.getBuildInfoId('contracts/Anchor.sol:Anchor');
    const buildInfoFile = buildInfoId && (await hre.artifacts.getBuildInfoPath(buildInfoId));
    if (!buildInfoFile) throw new Error('the build left no build info');
    const { solcLongVersion, input } = buildInfoSchema.parse(JSON.parse(await readFile(buildInfoFile, 'utf8')));
    const initCodeHash = keccak256(built.bytecode);
    const artifact = {
      contract: 'Anchor',
      compiler: { version: solcLongVersion, settings: input.settings },
      factory: FACTORY,
      salt: SALT,
      address: getCreate2Address(FACTORY, SALT, initCodeHash),
      initCodeHash,
      runtimeCodeHash: keccak256(built.deployedBytecode),
      initCode: built.bytecode,
      abi: built.abi,
    };
    return `${JSON.stringify(artifact, null, 2)}\n`;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const built = await buildArtifact();
  if (!process.argv.includes('--check')) {
    await writeFile(ARTIFACT_FILE, built);
  } else if ((await readFile(ARTIFACT_FILE, 'utf8')) !== built) {
    console.error(`${ARTIFACT_FILE} is not what contracts/Anchor.sol gives: run node scripts/artifact.ts`);
    process.exitCode = 1;
  }
}
