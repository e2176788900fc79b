import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AwsV4Signer } from 'aws4fetch';
import { Bucket, type BucketAddress } from '../../src/archive/bucket.ts';
import { freePort } from './debian-postgres.ts';
import { killServer } from './kill-server.ts';

/** Where a virtual environment with moto is; `.ci/run` makes it. */
const MOTO = process.env.MOTO_SERVER ?? '/opt/antequem-moto/bin/moto_server';
/** Programs of other servers, on which the same tests run when one of them is named. */
const { MINIO, VERSITYGW } = process.env;
const found = (MINIO ?? VERSITYGW) !== undefined || spawnSync(MOTO, ['--help']).status === 0;

/** Null where tests on an object store can run, else why they are left out. In CI nothing is left out. */
export const objectStoreMissing: string | null =
  found || process.env.CI === 'true' ? null : 'moto is not installed: see .ci/run';

if (objectStoreMissing !== null) console.warn(`Tests on an object store are skipped: ${objectStoreMissing}`);

/** The keys that the servers of the tests take. */
export const KEYS = { accessKeyId: 'antequem', secretAccessKey: 'antequem-secret' };

export interface TestStore {
  readonly endpoint: string;
  readonly folder: string;
  /** A new bucket. @param lock whether objects in it can be locked */
  bucket(name: string, lock?: boolean): Promise<BucketAddress>;
  down(): Promise<void>;
  up(): Promise<void>;
  stop(): Promise<void>;
}

/** An S3 server on loopback: moto, which keeps all in memory, unless another one is named. */
export async function testStore(): Promise<TestStore> {
  if (MINIO !== undefined) return minioStore(MINIO);
  if (VERSITYGW !== undefined) return versityStore(VERSITYGW);
  if (!found) throw new Error('moto is not installed: see .ci/run');
  return startStore((port) => [MOTO, '-H', '127.0.0.1', '-p', String(port)]);
}

/** The same by MinIO. */
async function minioStore(program: string): Promise<TestStore> {
  const env = { MINIO_ROOT_USER: KEYS.accessKeyId, MINIO_ROOT_PASSWORD: KEYS.secretAccessKey };
  return startStore((port, folder) => [program, 'server', '--address', `127.0.0.1:${port}`, join(folder, 'data')], env);
}

/** The same by versitygw, which keeps files. */
export async function versityStore(program: string): Promise<TestStore> {
  return startStore((port, folder) => {
    for (const name of ['data', 'versions', 'sidecar']) mkdirSync(join(folder, name), { recursive: true });
    const keys = ['--access', KEYS.accessKeyId, '--secret', KEYS.secretAccessKey];
    const backend = ['posix', '--sidecar', join(folder, 'sidecar'), '--versioning-dir', join(folder, 'versions')];
    return [program, '--port', `127.0.0.1:${port}`, ...keys, ...backend, join(folder, 'data')];
  });
}

async function startStore(
  command: (port: number, folder: string) => string[],
  env: Readonly<Record<string, string>> = {},
): Promise<TestStore> {
  const folder = mkdtempSync(join(tmpdir(), 'antequem-store-'));
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const [program = '', ...rest] = command(port, folder);
  let server: ChildProcess | null = null;
  const up = async (): Promise<void> => {
    const stdio = process.env.STORE_LOG === undefined ? 'ignore' : 'inherit';
    server = spawn(program, rest, { stdio, env: { ...process.env, ...env } });
    for (;;) {
      if (server.exitCode !== null) throw new Error(`${program} ended`);
      if (await fetch(endpoint).catch(() => null)) return;
      await sleep(50);
    }
  };
  const down = (): Promise<void> => killServer(server);
  await up();
  return {
    endpoint,
    folder,
    bucket: async (name, lock = false) => {
      await makeBucket(endpoint, name, lock);
      return { endpoint, region: 'us-east-1', bucket: name, prefix: '', ...KEYS, sessionToken: null };
    },
    up,
    down,
    stop: async () => {
      await down();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export async function makeBucket(endpoint: string, name: string, lock: boolean): Promise<void> {
  const signed = await new AwsV4Signer({
    method: 'PUT',
    url: `${endpoint}/${name}`,
    headers: lock ? { 'x-amz-bucket-object-lock-enabled': 'true' } : {},
    ...KEYS,
    service: 's3',
    region: 'us-east-1',
  }).sign();
  const answer = await fetch(signed.url, { method: 'PUT', headers: signed.headers });
  if (!answer.ok) throw new Error(`the bucket ${name} was not made: ${answer.status} ${await answer.text()}`);
}

/** Of a store that nobody can reach. */
export const bucketNowhere = (): Bucket =>
  new Bucket({
    endpoint: 'http://127.0.0.1:9',
    region: 'us-east-1',
    bucket: 'b',
    prefix: '',
    sessionToken: null,
    ...KEYS,
  });

export const bucketAt = (address: BucketAddress, deadlineMs?: number): Bucket => new Bucket(address, deadlineMs);
