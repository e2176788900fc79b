// What runs in a thread that answers the questions of a `WorkThread`.

import { parentPort, type Transferable } from 'node:worker_threads';
import { AntequemError, type ErrorCode, FormatError, messageOf } from '../core/errors.ts';

export interface Question {
  readonly id: number;
  readonly question: unknown;
}

interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
}

export type ThreadAnswer = { readonly id: number } & (
  | { readonly answer: unknown }
  | { readonly malformed: Refusal }
  | { readonly refused: Refusal }
  | { readonly failed: { readonly code: unknown; readonly message: string } }
);

/** An answer, and the memory of it that is given away. */
export interface Answering {
  readonly answer: unknown;
  readonly transfer?: readonly Transferable[];
}

/** Answers, in the thread, what `WorkThread.ask` is asked. */
export function answerQuestions<Q>(answer: (question: Q) => Promise<Answering>): void {
  parentPort?.on('message', async ({ id, question }: { readonly id: number; readonly question: Q }) => {
    try {
      const { answer: value, transfer = [] } = await answer(question);
      parentPort?.postMessage({ id, answer: value } satisfies ThreadAnswer, transfer);
    } catch (error) {
      parentPort?.postMessage({ id, ...failureOf(error) } satisfies ThreadAnswer);
    }
  });
}

function failureOf(error: unknown) {
  if (error instanceof AntequemError) {
    const refusal: Refusal = { code: error.code, message: error.message };
    return error instanceof FormatError ? { malformed: refusal } : { refused: refusal };
  }
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return { failed: { code, message: messageOf(error) } };
}
