// The thread in which what others send to `POST /v1/verify` is verified.

import { parentPort, workerData } from 'node:worker_threads';
import { verdictOn } from '../api/verification.ts';
import type { VerificationAnswer, VerificationMessage } from '../api/verifications.ts';
import { FormatError } from '../core/errors.ts';
import { rpcSource } from '../evm/rpc-source.ts';
import { bitcoinSource } from './bitcoin-source.ts';
import type { VerificationSettings } from './verifications.ts';

const { nodes, bitcoin }: VerificationSettings = workerData;
const header = bitcoinSource(bitcoin);
const evm = nodes.map(({ url, confirmations }) => rpcSource(url, { confirmations }));
const sources = { evm, bitcoin: header === null ? [] : [header] };

async function answerTo({ id, body }: VerificationMessage): Promise<VerificationAnswer> {
  try {
    return { id, verdict: JSON.stringify(await verdictOn(body, sources)) };
  } catch (error) {
    if (error instanceof FormatError) return { id, refused: { code: error.code, message: error.message } };
    return { id, failed: error instanceof Error ? error.message : String(error) };
  }
}

parentPort?.on('message', async (message: VerificationMessage) => {
  parentPort?.postMessage(await answerTo(message));
});
