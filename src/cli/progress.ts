import { counted } from './output.ts';

const REDRAW = 100;
const BAR = 24;

/** Progress on one line of a terminal that is redrawn. Silent if standard error is not a terminal. */
export class Progress {
  readonly #total: number | null;
  readonly #out: NodeJS.WriteStream;
  readonly #now: () => number;
  readonly #began: number;
  #drawn = Number.NEGATIVE_INFINITY;

  /** @param total bytes in all; null if unknown */
  constructor(total: number | null, out: NodeJS.WriteStream = process.stderr, now: () => number = Date.now) {
    this.#total = total;
    this.#out = out;
    this.#now = now;
    this.#began = now();
  }

  update(bytes: number, entries: number): void {
    this.#draw((elapsed) => progressLine({ bytes, entries, total: this.#total, elapsed }));
  }

  /** The same for work counted in entries; `at` names the current item. */
  updateCount(at: string, entries: number, total: number): void {
    this.#draw((elapsed) => countLine({ at, entries, total, elapsed }));
  }

  #draw(line: (elapsed: number) => string): void {
    const now = this.#now();
    if (!this.#out.isTTY || now - this.#drawn < REDRAW) return;
    this.#drawn = now;
    const text = line(now - this.#began);
    this.#out.write(`\r\x1b[K${text.slice(0, Math.max(10, (this.#out.columns || 80) - 1))}`);
  }

  /** Clears the line for other output. */
  clear(): void {
    if (this.#out.isTTY && this.#drawn !== Number.NEGATIVE_INFINITY) this.#out.write('\r\x1b[K');
    this.#drawn = Number.NEGATIVE_INFINITY;
  }
}

/** Bytes, entries, rate and time left; `elapsed` in milliseconds. */
export function progressLine(at: { bytes: number; entries: number; total: number | null; elapsed: number }): string {
  const seconds = Math.max(at.elapsed, 1) / 1000;
  const rate = `${counted(Math.round(at.entries / seconds), 'entry', 'entries')}/s`;
  const done = `${size(at.bytes)}  ${counted(at.entries, 'entry', 'entries')}  ${rate}`;
  if (at.total === null || at.total === 0) return done;
  const share = Math.min(1, at.bytes / at.total);
  const left = at.bytes === 0 ? '' : `  ${duration((seconds * (at.total - at.bytes)) / at.bytes)} left`;
  return `${bar(share)}  ${done}${share < 1 ? left : ''}`;
}

/** Entries, rate, time left and the current item; `elapsed` in milliseconds. */
function countLine(of: { at: string; entries: number; total: number; elapsed: number }): string {
  const seconds = Math.max(of.elapsed, 1) / 1000;
  const share = of.total === 0 ? 1 : Math.min(1, of.entries / of.total);
  const done = `${counted(of.entries, 'entry', 'entries')}  ${counted(Math.round(of.entries / seconds), 'entry', 'entries')}/s`;
  const left =
    of.entries === 0 || share === 1 ? '' : `  ${duration((seconds * (of.total - of.entries)) / of.entries)} left`;
  return `${bar(share)}  ${done}${left}  ${of.at}`;
}

function bar(share: number): string {
  const filled = Math.round(share * BAR);
  return `[${'#'.repeat(filled)}${'-'.repeat(BAR - filled)}] ${String(Math.floor(share * 100)).padStart(3)} %`;
}

function size(bytes: number): string {
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const minutes = Math.floor(whole / 60);
  if (minutes === 0) return `${whole} s`;
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
