// Libraries of others that verify COSE receipts. They are installed for the run that needs them.

import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import * as z from 'zod';
import { toHex } from '../../src/core/bytes.ts';

const run = promisify(execFile);
const STRANGERS = new URL('../strangers/', import.meta.url);
const FOLDER = join(tmpdir(), 'antequem-cose-strangers');
const GO_PATH = [process.env.PATH, '/usr/local/go/bin'].join(delimiter);

const method = <T extends (...args: never[]) => unknown>() => z.custom<T>((value) => typeof value === 'function');
const auth0 = z.object({
  Sign1: z.custom<{ decode(bytes: Uint8Array): unknown }>((value) => typeof value === 'function'),
  COSEKey: z.custom<{ import(bytes: Uint8Array): unknown }>((value) => typeof value === 'function'),
});
const message = z.object({
  verify: method<(key: unknown, options: { detachedPayload: Uint8Array }) => Promise<void>>(),
});
const coseKey = z.object({ toKeyLike: method<() => Promise<unknown>>() });

/** Whether a signature holds over a root, by a COSE_Key. */
export type CheckCose = (receipt: Uint8Array, root: Uint8Array, key: Uint8Array) => Promise<boolean>;

/** @auth0/cose of npm, a second or two. */
export function auth0Cose(): CheckCose {
  mkdirSync(FOLDER, { recursive: true });
  const manifest = { private: true, dependencies: { '@auth0/cose': '1.0.2' } };
  writeFileSync(join(FOLDER, 'package.json'), JSON.stringify(manifest));
  const options = ['--silent', '--ignore-scripts', '--omit=optional', '--no-audit', '--no-fund'];
  execFileSync('npm', ['install', ...options], { cwd: FOLDER, stdio: 'inherit' });
  const load: (name: string) => unknown = createRequire(join(FOLDER, 'package.json'));
  const { Sign1, COSEKey } = auth0.parse(load('@auth0/cose'));
  return async (receipt, root, key) => {
    const sign1 = Sign1.decode(receipt);
    const imported = COSEKey.import(key);
    const keyLike = await coseKey.parse(bound(imported, 'toKeyLike')).toKeyLike();
    try {
      await message.parse(bound(sign1, 'verify')).verify(keyLike, { detachedPayload: root });
      return true;
    } catch {
      return false;
    }
  };
}

/** A method of an instance as a value of its own. */
function bound(instance: unknown, name: string): Record<string, unknown> {
  const found: unknown = Object(instance)[name];
  return { [name]: typeof found === 'function' ? found.bind(instance) : undefined };
}

/** Why go-cose cannot be built here; null: it can. */
export const goCoseMissing: string | null =
  spawnSync('go', ['version'], { env: { ...process.env, PATH: GO_PATH } }).status === 0 ? null : 'Go is not installed';

/** github.com/veraison/go-cose 1.3.0. Returns how many signatures hold, and the first error. */
export async function goCose(
  receipts: readonly { readonly receipt: Uint8Array; readonly root: Uint8Array }[],
  publicKey: Uint8Array,
): Promise<string> {
  const binary = join(FOLDER, 'go-cose');
  mkdirSync(FOLDER, { recursive: true });
  const env = { ...process.env, PATH: GO_PATH, GOFLAGS: '-mod=readonly' };
  await run('go', ['build', '-o', binary, '.'], { cwd: new URL('go-cose/', STRANGERS), env });
  const lines = receipts.map(({ receipt, root }) => `${toHex(receipt)} ${toHex(root)} ${toHex(publicKey)}\n`).join('');
  return execFileSync(binary, { input: lines, encoding: 'utf8', maxBuffer: 1 << 20 }).trim();
}

const outcome = z.object({
  total: z.number(),
  accepted: z.number(),
  entriesRefused: z.number(),
  refused: z.number(),
  relabelled: z.number(),
  wrong: z.array(z.string()),
});

/** scitt-cose 0.5.0 of PyPI, in an environment of its own. @param pem the public key */
export async function scittCose(
  receipts: readonly { readonly receipt: Uint8Array; readonly entry: Uint8Array }[],
  pem: string,
): Promise<z.infer<typeof outcome>> {
  const python = join(FOLDER, 'venv', 'bin', 'python');
  mkdirSync(FOLDER, { recursive: true });
  await run('python3', ['-m', 'venv', join(FOLDER, 'venv')]);
  await run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', 'scitt-cose==0.5.0']);
  const [lines, key] = [join(FOLDER, 'receipts'), join(FOLDER, 'key.pem')];
  writeFileSync(lines, receipts.map(({ receipt, entry }) => `${toHex(receipt)} ${toHex(entry)}\n`).join(''));
  writeFileSync(key, pem);
  const script = new URL('scitt.py', STRANGERS).pathname;
  const { stdout } = await run(python, [script, lines, key], { maxBuffer: 1 << 20 });
  return outcome.parse(JSON.parse(stdout));
}
