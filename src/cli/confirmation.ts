import { createInterface } from 'node:readline/promises';
import { AntequemError } from '../core/errors.ts';

/**
 * Asks the person at the terminal.
 * @param otherwise what has not happened if the answer is not yes, as a sentence without a period
 * @throws AntequemError `not-confirmed` if the answer is not yes, or nobody can answer
 */
export async function demandYes(question: string, otherwise: string): Promise<void> {
  if (!process.stdin.isTTY) {
    throw new AntequemError('not-confirmed', `${question} Nobody can answer here: repeat the command with --yes`);
  }
  const asked = createInterface({ input: process.stdin, output: process.stderr });
  // Ctrl-C and Ctrl-D end the question without an answer, and without a newline.
  const answer = await asked.question(`${question} [y/N] `).catch(() => {
    process.stderr.write('\n');
    return '';
  });
  asked.close();
  if (!/^y(?:es)?$/i.test(answer.trim())) throw new AntequemError('not-confirmed', otherwise);
}
