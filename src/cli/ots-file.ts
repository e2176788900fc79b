import { type OtsFile, parseOtsFile } from '../ots/file.ts';
import { MAX_TIMESTAMP } from '../ots/serialization.ts';
import { readAtMost } from './bounded-file.ts';

/** An .ots file; `-` is standard input. @throws AntequemError `file-unreadable`; OtsError */
export async function readOtsFile(file: string): Promise<OtsFile> {
  return parseOtsFile(await readAtMost(file, MAX_TIMESTAMP));
}
