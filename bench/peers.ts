// Packages of npm that ours is compared with. They are not among our dependencies: some bring dozens of others along, and
// abandoned ones. They are installed for the run that compares.

import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const FOLDER = join(tmpdir(), 'antequem-peers');
const PEERS = { '@openzeppelin/merkle-tree': '1.0.8', merkletreejs: '0.6.0', opentimestamps: '0.4.9' };
/** Stands for a placeholder of this name, which opentimestamps asks for and not every registry has. */
const FS = `file:${resolve(import.meta.dirname, '../test/support/fs-placeholder')}`;

/** Loads from the peers, such as `opentimestamps/index.js`; installs them first, which needs a registry. */
export function installPeers(): (path: string) => unknown {
  mkdirSync(FOLDER, { recursive: true });
  const manifest = { private: true, dependencies: { ...PEERS, fs: FS }, overrides: { fs: '$fs' } };
  writeFileSync(join(FOLDER, 'package.json'), JSON.stringify(manifest));
  execFileSync('npm', ['install', '--silent', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: FOLDER,
    stdio: 'inherit',
  });
  const load: (path: string) => unknown = createRequire(join(FOLDER, 'package.json'));
  return load;
}
