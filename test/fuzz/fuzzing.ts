import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { mutant, numbers } from './mutant.ts';
import type { Parser } from './parsers.ts';

export interface Outcome {
  readonly taken: number;
  readonly refused: number;
  readonly codes: ReadonlySet<string>;
  /** Bytes by which the heap is larger than after the first tenth. */
  readonly growth: number;
  /** Of the slowest input, milliseconds. */
  readonly slowest: number;
  readonly seconds: number;
}

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

/** Gives a parser this many inputs. Throws, with the input, where one is neither taken nor refused with a code. */
export function fuzz(parser: Parser, count: number, seed: number): Outcome {
  const next = numbers(seed);
  const codes = new Set<string>();
  let [taken, refused, slowest, base] = [0, 0, 0, 0];
  const start = performance.now();
  for (let i = 0; i < count; i++) {
    if (i === Math.floor(count / 10)) base = heap();
    const input = mutant(parser.samples, next);
    const began = performance.now();
    try {
      parser.take(input);
      taken++;
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : null;
      if (typeof code !== 'string' || !/^[a-z][a-z0-9-]+$/.test(code)) {
        const shown = Buffer.from(input).toString('base64');
        throw new Error(`${parser.name}, input ${i} of seed ${seed} (base64 ${shown})`, { cause: error });
      }
      codes.add(code);
      refused++;
    }
    slowest = Math.max(slowest, performance.now() - began);
  }
  const seconds = (performance.now() - start) / 1_000;
  return { taken, refused, codes, growth: heap() - base, slowest, seconds };
}

function heap(): number {
  // What the first pass finds dead, such as the bytes of a buffer, the second counts no more.
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** One line of a table that people read. */
export function describeOutcome(parser: Parser, { taken, refused, codes, growth, slowest, seconds }: Outcome): string {
  const number = (value: number): string => Math.round(value).toLocaleString('en').padStart(9);
  const size = `${(growth / 2 ** 20).toFixed(1).padStart(5)} MB`;
  return (
    `${parser.name.padEnd(16)}${number(taken)}${number(refused)}${String(codes.size).padStart(7)}` +
    `${size}${slowest.toFixed(1).padStart(9)} ms${seconds.toFixed(1).padStart(8)} s`
  );
}

export const HEAD = `${'parser'.padEnd(16)}    taken  refused  codes    heap     slowest    time`;
