// antequem-client and antequem-verify as others get them: installed from their tarballs into an empty project.

import { execFile, execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type PackedLibrary, packClients } from '../../scripts/clients.ts';

export interface EmptyProject extends AsyncDisposable {
  readonly folder: string;
  readonly packed: readonly PackedLibrary[];
  /** Writes a file. */
  write(name: string, text: string): Promise<void>;
  /** Runs a command in the folder and gives its standard output. */
  run(command: string, ...args: string[]): Promise<string>;
}

/** A project that has nothing but the two packages. */
export async function emptyProject(): Promise<EmptyProject> {
  const folder = await mkdtemp(join(tmpdir(), 'antequem-clients-'));
  const packed = await packClients(join(folder, 'tarballs'));
  await writeFile(join(folder, 'package.json'), '{ "private": true }');
  const tarballs = packed.map(({ tarball }) => tarball);
  execFileSync('npm', ['install', '--offline', '--silent', ...tarballs], { cwd: folder, stdio: 'inherit' });
  return {
    folder,
    packed,
    write: (name, text) => writeFile(join(folder, name), text),
    run: async (command, ...args) => {
      const { stdout } = await promisify(execFile)(command, args, { cwd: folder, encoding: 'utf8' });
      return stdout;
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

const IMPORTS = {
  esm: `import { Client } from 'antequem-client';
import { exitCode, verify } from 'antequem-verify';`,
  cjs: `const { Client } = require('antequem-client');
const { exitCode, verify } = require('antequem-verify');`,
} as const;

/** What a program prints where all is well. */
export const PRINTED = '3 entries, receipt of entry 2: unproven, another text: refuted 1';

/** A program that appends to a log of the service, fetches a receipt by the three stored fields and verifies it. */
export function program(format: keyof typeof IMPORTS, url: string, log: string): string {
  return `${IMPORTS[format]}
async function main() {
  const client = new Client({ url: '${url}' });
  const log = client.log('${log}');
  const contents = ['a line', { user: 7 }, 'zweite Zeile: größer'];
  const entries = await Promise.all(contents.map((content) => log.append(content)));
  const { log: origin, index, digest } = entries[2];
  const receipt = await log.receipt({ log: origin, index, digest });
  await client.close();
  const good = await verify({ proof: receipt, payload: contents[2] }, {});
  const same = await verify({ proof: JSON.stringify(receipt), payload: new TextEncoder().encode(contents[2]) }, {});
  if (same.result !== good.result) throw new Error('text and bytes lead to different verdicts');
  const bad = await verify({ proof: receipt, payload: 'another text' }, {});
  return \`\${entries.length} entries, receipt of entry \${index}: \${good.result}, another text: \${bad.result} \${exitCode(bad)}\`;
}
main().then((says) => console.log(says));
`;
}

/** A strict TypeScript program. */
export const TYPED = `import { Client, type Entry, isEvmAnchor, type KeptEntry, type Receipt, ServiceError } from 'antequem-client';
import { type EvmSource, rpcSource, type Trust, type Verdict, verify } from 'antequem-verify';

export async function keep(client: Client, content: string): Promise<KeptEntry> {
  const { log, index, digest }: Entry = await client.log('app', { onError: (error) => error instanceof ServiceError }).append(content);
  return { log, index, digest };
}

export async function blockOf(client: Client, kept: KeptEntry): Promise<string | undefined> {
  const receipt: Receipt = await client.log('app').receipt(kept, { wait: 60, until: 'finalized' });
  const round: number | undefined = receipt.round?.number;
  const anchor = receipt.anchors?.find(isEvmAnchor);
  const status: 'submitted' | 'included' | 'finalized' | undefined = anchor?.status;
  return round === undefined || status !== 'finalized' ? undefined : anchor?.block?.hash;
}

export async function existedBefore(receipt: Receipt, content: string): Promise<string | undefined> {
  const source: EvmSource = rpcSource('http://127.0.0.1:8545');
  const trust: Trust = { evm: [source] };
  const verdict: Verdict = await verify({ proof: receipt, payload: content }, trust);
  // @ts-expect-error: a verdict has no such member
  verdict.nothing;
  return verdict.existedBefore?.time;
}

// @ts-expect-error: a client needs the address of its service
new Client({});
`;
