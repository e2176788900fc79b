// docs/security.md promises a test for what it says, by file and title: each is there.

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const text = readFileSync(new URL('../../docs/security.md', import.meta.url), 'utf8').replaceAll('\n', ' \n');
const [, attacker = '', never = ''] =
  /## What an attacker can and cannot do \n(.*)\n## What is never lost, and never twice \n(.*)\n## /s.exec(text) ?? [];

/** Cells of the last column of a table. */
const shownBy = (part: string): string[] =>
  part
    .split('\n')
    .filter((line) => /^\| [^|-]/.test(line))
    .map((line) => line.split('|').at(-2)?.trim() ?? '')
    .filter((cell) => cell !== 'shown by');

/** `folder/file "title"`. */
const REFERENCE = /\b([a-z0-9]+(?:\/[a-z0-9-]+)+) "([^"]+)"/g;

/** Whether a test, or a group of tests, of the file has this title. */
function hasTitle(file: URL, title: string): boolean {
  const quoted = title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`\\(\\s*(['"\`])${quoted}\\1\\s*,`).test(readFileSync(file, 'utf8'));
}

describe('docs/security.md', () => {
  const cells = [...shownBy(attacker), ...shownBy(never)];
  const references = [...text.matchAll(REFERENCE)].map(([, file = '', title = '']) => [file, title] as const);

  test('every line of its tables names tests and nothing else', () => {
    expect(cells.length).toBeGreaterThan(10);
    expect(cells.filter((cell) => !/^[^"]+ "[^"]+"(, [^"]+ "[^"]+")*$/.test(cell))).toEqual([]);
  });

  test('every paragraph on an attacker names a test', () => {
    const paragraphs = attacker.split(' \n \n').filter((paragraph) => paragraph.startsWith('**'));
    expect(paragraphs.length).toBeGreaterThan(6);
    const bare = paragraphs.filter((part) => !part.trimEnd().endsWith(':') && part.match(REFERENCE) === null);
    expect(bare).toEqual([]);
  });

  test('names no test without its title', () => {
    const named = text.match(/\b[a-z0-9]+(?:\/[a-z0-9-]+)+\b/g) ?? [];
    const bare = named.filter((name) => existsSync(new URL(`../${name}.test.ts`, import.meta.url)));
    expect(bare.length).toBeGreaterThan(30);
    expect(bare.length).toBe(references.length);
  });

  test.each(references)('%s "%s" is there', (file, title) => {
    expect(hasTitle(new URL(`../${file}.test.ts`, import.meta.url), title)).toBe(true);
  });

  test('a title that no test has is not found', () => {
    expect(hasTitle(new URL('security.test.ts', import.meta.url), 'a title that nothing has')).toBe(false);
    expect(hasTitle(new URL('security.test.ts', import.meta.url), 'names no test without its title')).toBe(true);
  });
});
