// What a page prints, read as people and scanners read paper.

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import jsqr from 'jsqr';

/** Null where paper can be read, else why not. In CI nothing is left out. */
export const paperMissing: string | null =
  existsSync('/usr/bin/pdftotext') || process.env.CI === 'true'
    ? null
    : '/usr/bin/pdftotext is not there (apt-get install poppler-utils)';

if (paperMissing !== null) console.warn(`Tests of what is printed are skipped: ${paperMissing}`);

const DOTS_PER_INCH = 150;
/** In dots: the head of the page. */
const HEAD = 420;

/** The text of a PDF, as poppler finds it in the file; every run of white space is one blank. */
export function paperText(pdf: Uint8Array): string {
  const text = execFileSync('pdftotext', ['-raw', '-enc', 'UTF-8', '-', '-'], { input: pdf, encoding: 'utf8' });
  return text.replaceAll(/\s+/g, ' ');
}

/** What a scanner reads from the QR code in the head of the first page; null without one. */
export function scannedCode(pdf: Uint8Array): string | null {
  const args = ['-r', String(DOTS_PER_INCH), '-H', String(HEAD), '-singlefile', '-'];
  const ppm = execFileSync('pdftoppm', args, { input: pdf, maxBuffer: 1 << 26 });
  const [header, width, height] = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(ppm.subarray(0, 64).toString('latin1')) ?? [];
  if (header === undefined) throw new Error('not a portable pixmap');
  const pixels = new Uint8ClampedArray(4 * Number(width) * Number(height)).fill(255);
  for (let i = 0; 4 * i < pixels.length; i++)
    pixels.set(ppm.subarray(header.length + 3 * i, header.length + 3 * i + 3), 4 * i);
  return jsqr.default(pixels, Number(width), Number(height))?.data ?? null;
}
