// The thread in which the lines of large bodies are hashed.

import { answerQuestions } from '../api/answering.ts';
import type { SharedQuestion } from '../api/line-hashing.ts';
import { SharedLines } from '../api/shared-lines.ts';

answerQuestions(async ({ memory, count, nonceSize }: SharedQuestion) => {
  new SharedLines(memory, count, nonceSize).hash();
  return { answer: null };
});
