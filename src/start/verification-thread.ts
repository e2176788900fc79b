// The thread in which what others send to `POST /v1/verify` is verified.

import { workerData } from 'node:worker_threads';
import { answerQuestions } from '../api/answering.ts';
import { verdictOn } from '../api/verification.ts';
import { rpcSource } from '../evm/rpc-source.ts';
import { bitcoinSource } from './bitcoin-source.ts';
import type { VerificationSettings } from './verifications.ts';

const { nodes, bitcoin, authorities }: VerificationSettings = workerData;
const header = bitcoinSource(bitcoin);
const evm = nodes.map(({ url, confirmations }) => rpcSource(url, { confirmations }));
const sources = { evm, bitcoin: header === null ? [] : [header], authorities };

answerQuestions(async (body: Uint8Array) => ({
  answer: JSON.stringify(await verdictOn(body, { ...sources, now: Date.now() })),
}));
