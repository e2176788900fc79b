import { access } from 'node:fs/promises';
import { AntequemError } from '../core/errors.ts';

/** What `stamp` and the OpenTimestamps clients add to the name of a file. */
const SUFFIXES = ['.receipt.json', '.ots'] as const;

/**
 * The file and its proof where only one of the two was named: the other one is beside it.
 * @throws AntequemError `arguments-invalid` if there is none
 */
export async function proofBeside(name: string): Promise<{ readonly file: string; readonly proof: string }> {
  for (const suffix of SUFFIXES) {
    const content = name.slice(0, -suffix.length);
    if (name.endsWith(suffix) && content !== '' && (await exists(content))) return { file: content, proof: name };
  }
  for (const suffix of SUFFIXES) {
    if (await exists(name + suffix)) return { file: name, proof: name + suffix };
  }
  throw new AntequemError(
    'arguments-invalid',
    `there is no ${SUFFIXES.map((suffix) => name + suffix).join(' or ')}: give FILE and its RECEIPT or FILE.ots`,
  );
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
