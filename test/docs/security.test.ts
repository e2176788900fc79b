// docs/security.md promises a test for what it says: each that it names is there.

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const text = readFileSync(new URL('../../docs/security.md', import.meta.url), 'utf8');
const [, attacker = '', never = ''] =
  /## What an attacker can and cannot do\n(.*)\n## What is never lost, and never twice\n(.*)\n## /s.exec(text) ?? [];

/** Cells of the last column of a table. */
const shownBy = (part: string): string[] =>
  part
    .split('\n')
    .filter((line) => /^\| [^|-]/.test(line))
    .map((line) => line.split('|').at(-2)?.trim() ?? '')
    .filter((cell) => cell !== 'shown by');

const NAME =
  /\b(?:access|anchor|api|audit|bitcoin|cli|contracts|core|e2e|evm|faults|log|mirror|ots|store|verify|web|webhooks)\/[a-z-]+(?![a-z./-])/g;

describe('docs/security.md', () => {
  const cells = [...shownBy(attacker), ...shownBy(never)];

  test('no line of its tables is without a test', () => {
    expect(cells.length).toBeGreaterThan(10);
    expect(cells.filter((cell) => cell === '')).toEqual([]);
  });

  test('no paragraph on an attacker is without a test', () => {
    const paragraphs = attacker.split('\n\n').filter((paragraph) => paragraph.startsWith('**'));
    expect(paragraphs.length).toBeGreaterThan(6);
    const bare = paragraphs.filter((paragraph) => !paragraph.endsWith(':') && !NAME_ONCE.test(paragraph));
    expect(bare).toEqual([]);
  });

  test.each([...new Set(text.match(NAME) ?? [])])('%s is there', (name) => {
    expect(existsSync(new URL(`../${name}.test.ts`, import.meta.url))).toBe(true);
  });
});

const NAME_ONCE = new RegExp(NAME.source);
