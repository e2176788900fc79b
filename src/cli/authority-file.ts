import { AntequemError, FormatError } from '../core/errors.ts';
import { readCertificates } from '../tsa/certificate.ts';
import { readAtMost } from './bounded-file.ts';

const MAX_CERTIFICATES_BYTES = 1_048_576;

/** A file of certificates, which can be read. @throws AntequemError `certificate-invalid`, `file-unreadable` */
export async function readAuthorityFile(file: string): Promise<Uint8Array> {
  const bytes = await readAtMost(file, MAX_CERTIFICATES_BYTES);
  try {
    readCertificates(bytes);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new AntequemError(cause.code, `--tsa-ca ${file}: ${cause.message}`, { cause });
  }
  return bytes;
}
