// Files with secrets that other users of the machine can read.

import { stat } from 'node:fs/promises';
import type { Config } from '../config.ts';

const READABLE_BY_OTHERS = 0o004;

/** A sentence for each. A file that is not there is for the code that reads it to report. */
export async function exposedFiles(config: Config): Promise<string[]> {
  if (process.platform === 'win32') return [];
  const files = secretFiles(config);
  const exposed = await Promise.all(
    files.map(async (file) => {
      const mode = await stat(file).then(
        (found) => found.mode,
        () => 0,
      );
      return (mode & READABLE_BY_OTHERS) !== 0;
    }),
  );
  return files
    .filter((_, i) => exposed[i])
    .map((file) => `${file} holds a secret that every user of this machine can read: chmod 600 ${file}`);
}

function secretFiles({ logSeedFile, targets, operation }: Config): string[] {
  const keys = targets.flatMap(({ key }) =>
    key === null ? [] : 'file' in key ? [key.file] : [key.keystore, key.passwordFile],
  );
  return [logSeedFile, ...keys, ...(operation.metricsTokenFile === null ? [] : [operation.metricsTokenFile])];
}
