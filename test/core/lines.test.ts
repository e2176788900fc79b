import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { lineBatches } from '../../src/cli/lines.ts';
import { fileLines } from '../../src/cli/text-lines.ts';
import { batchLength } from '../../src/client/batch.ts';
import { isBlank } from '../../src/core/lines.ts';
import { cutLines } from '../../src/log/accept.ts';

const BLANK = [
  '',
  ' ',
  '\t',
  '\r',
  ' \t\r ',
  ' '.repeat(64),
  ' '.repeat(65),
  '\t'.repeat(5_000),
  `${' '.repeat(300)}\r`,
];
const ENTRIES = [
  'a',
  ' a',
  'a\r',
  '\0',
  '\v',
  '\f',
  '\x85',
  '\xa0',
  ' \0 ',
  `${' '.repeat(65)}.`,
  `.${' '.repeat(65)}`,
];

const bytesOf = (line: string): Buffer => Buffer.from(line, 'latin1');
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

test('a line of spaces, tabs and carriage returns alone is blank, however long', () => {
  expect(BLANK.filter((line) => !isBlank(bytesOf(line)))).toEqual([]);
  expect(ENTRIES.filter((line) => isBlank(bytesOf(line)))).toEqual([]);
});

test('service, client and command line treat the same lines as entries', async () => {
  const lines = ENTRIES.flatMap((entry, i) => [BLANK[i % BLANK.length] ?? '', entry, ...BLANK]);
  const body = bytesOf(`${lines.join('\n')}\n`);
  expect(cutLines(body).map(textOf)).toEqual(ENTRIES);

  const limits = { lines: lines.length, bytes: 2 << 20 };
  const batches = lineBatches(ReadableStream.from([new Uint8Array(body)]), limits, 1_000);
  expect((await batches.next()).value).toMatchObject({ entries: ENTRIES.length, lines: lines.length });

  const folder = await mkdtemp(join(tmpdir(), 'lines-'));
  try {
    await writeFile(join(folder, 'app.log'), body);
    const found: string[] = [];
    for await (const line of fileLines(join(folder, 'app.log'), 10_000)) found.push(textOf(line));
    expect(found).toEqual(ENTRIES);
  } finally {
    await rm(folder, { recursive: true });
  }

  // What is blank goes out alone, as a body of its own and not as a line.
  const alone = (line: string): boolean => batchLength([{ bytes: bytesOf('x') }, { bytes: bytesOf(line) }]) === 1;
  expect(BLANK.filter((line) => !alone(line))).toEqual([]);
  expect(ENTRIES.filter(alone)).toEqual([]);
});
