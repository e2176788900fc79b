import { isCoseMessage } from '../core/cose-receipt.ts';
import { proofText } from '../core/proof-text.ts';
import { RECEIPT_FORMAT } from '../core/receipt.ts';
import { isTlogProof } from '../core/tlog-proof.ts';
import { isOtsFile } from '../ots/file.ts';
import { isTokenFile } from '../tsa/token-file.ts';

/** Whether bytes look like a proof (a receipt, an .ots file, a tlog-proof, a COSE receipt or a token) rather than like what one is about. */
export function looksLikeProof(bytes: Uint8Array): boolean {
  if (isOtsFile(bytes) || isCoseMessage(bytes) || isTokenFile(bytes)) return true;
  const text = proofText(bytes);
  return isTlogProof(text) || (text.trimStart().startsWith('{') && text.includes(`"${RECEIPT_FORMAT}"`));
}
